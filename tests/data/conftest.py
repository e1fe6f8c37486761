"""Folders of pairs, as a data set lies on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from tests.conftest import random_pixels

MakePairs = Callable[..., Path]


@pytest.fixture
def make_pairs(tmp_path: Path) -> MakePairs:
    """Writes random pairs, ``folder/{input,target}/NAME.png``, and returns the folder."""

    def make(
        *names: str,
        folder: str = "pairs",
        views: tuple[str, ...] = ("input",),
        size: tuple[int, int] = (24, 32),
    ) -> Path:
        root = tmp_path / folder
        for part in (*views, "target"):
            (root / part).mkdir(parents=True, exist_ok=True)
            for seed, name in enumerate(names):
                pixels = random_pixels((*size, 3), seed=seed + 100 * len(part))
                write_photo(Photo(pixels=pixels), root / part / f"{name}.png")
        return root

    return make
