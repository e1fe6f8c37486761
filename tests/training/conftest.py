"""A training run small enough to do in a test, on real pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirnet.imaging.io import read_photo, write_photo
from mirnet.training.recipe import (
    DataRecipe,
    ModelRecipe,
    Recipe,
    ScheduleRecipe,
    SourceRecipe,
    Stage,
    ValidationRecipe,
)

PICTURES = Path(__file__).parent.parent / "golden" / "metrics"
NUMBERS, OTHERS = (0, 1, 4), (2, 3)

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(scope="session")
def real_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three real pictures, ``target/``, and worse copies of them, ``input/``."""
    return pairs_in(tmp_path_factory.mktemp("pairs"), NUMBERS)


@pytest.fixture(scope="session")
def other_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two others, to validate on."""
    return pairs_in(tmp_path_factory.mktemp("others"), OTHERS)


def pairs_in(folder: Path, numbers: tuple[int, ...]) -> Path:
    for part, name in (("input", "output"), ("target", "target")):
        (folder / part).mkdir()
        for number in numbers:
            photo = read_photo(PICTURES / f"{number}_{name}.png")
            write_photo(photo, folder / part / f"{number}.png")
    return folder


@pytest.fixture
def make_recipe(real_pairs: Path) -> MakeRecipe:
    """A recipe of a few steps in two stages; what is given differs from it."""

    def make(**changes: Any) -> Recipe:
        sources = (
            SourceRecipe(path=real_pairs, weight=1),
            SourceRecipe(path=real_pairs, weight=2, degradation="gaussian-noise"),
        )
        parts: dict[str, Any] = {
            "seed": 5,
            "device": "cpu",
            "precision": "float32",
            "log_every": 1,
            "model": ModelRecipe(changes={"width": 8, "groups": (1,), "blocks": 1}),
            "data": DataRecipe(sources=sources),
            "schedule": ScheduleRecipe(
                lr=2e-3,
                stages=(
                    Stage(steps=6, patch_size=16, batch_size=4),
                    Stage(steps=4, patch_size=24, batch_size=2),
                ),
            ),
            "validation": ValidationRecipe(),
        }
        return Recipe(**{**parts, **changes})

    return make
