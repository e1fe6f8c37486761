"""Pairs whose scores are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from tests.conftest import random_pixels


def put_pair(folder: Path, name: str, target: NDArray[Any], difference: int) -> None:
    """A pair whose input differs from its target by as many levels everywhere."""
    lower = target // 2 + 20
    for part, pixels in (("target", lower), ("input", lower + difference)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        write_photo(Photo(pixels=pixels.astype(np.uint8)), folder / part / f"{name}.png")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs whose inputs differ from their targets by 1 and by 4 levels everywhere."""
    folder = tmp_path / "pairs"
    for seed, (name, difference) in enumerate((("near", 1), ("far", 4))):
        put_pair(folder, name, random_pixels((32, 40, 3), seed=seed), difference)
    return folder
