import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet.data.degradations import DEGRADATIONS, bound
from mirnet.errors import DataError, RecipeError
from mirnet.training.recipe import SourceRecipe

CLEAN = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)


def test_options_reach_the_degradation() -> None:
    strong, weak = (
        bound("gaussian-noise", {"sigma": (value, value)})(CLEAN * 0.5 + 0.25, rng)[0]
        for value, rng in ((0.1, np.random.default_rng(0)), (0.01, np.random.default_rng(0)))
    )
    clean = CLEAN * 0.5 + 0.25
    assert np.std(strong - clean) == pytest.approx(0.1, rel=0.05)
    assert np.std(weak - clean) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_any_result_can_be_stored_as_a_jpeg(name: str) -> None:
    views = bound(name, {"jpeg": 1.0, "quality": (30.0, 30.0)})(CLEAN, np.random.default_rng(0))
    for view in views:
        levels = view * 255
        if name != "downscale":  # which enlarges what was stored
            np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
    again = bound(name, {"quality": (99.0, 99.0)})(CLEAN, np.random.default_rng(0))
    assert not np.array_equal(views[0], again[0])


def test_workers_can_be_given_one() -> None:
    made = bound("downscale", {"factor": 2.0})
    again = pickle.loads(pickle.dumps(made))  # noqa: S301
    one, other = (each(CLEAN, np.random.default_rng(0))[0] for each in (made, again))
    assert np.array_equal(one, other)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("gaussian-noise", {"sgima": (0.1, 0.2)}, "sgima: gaussian-noise has no such option; it has"),
    ("gaussian-noise", {"sigma": 0.1}, "sigma: gaussian-noise wants the lowest and the highest"),
    ("gaussian-noise", {"sigma": (0.1, 0.2, 0.3)}, "sigma: gaussian-noise wants the lowest and"),
    ("gaussian-noise", {"sigma": (-1.0, 0.2)}, "sigma is"),
    ("gaussian-noise", {"jpeg": 2.0}, "jpeg is"),
    ("gaussian-noise", {"quality": (0.0, 300.0)}, "quality is"),
    ("downscale", {"factor": (2.0, 4.0)}, "factor: downscale wants one number"),
    ("downscale", {"factor": 0.5}, "factor is"),
    ("dual-pixel-defocus", {"radius": (5.0, 1.0)}, "radius is"),
    ("low-light", {"light": (0.0, 0.5)}, "light is"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "words"), WRONG)
def test_wrong_options_are_named(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        bound(name, options)
    as_lists = {
        key: value if isinstance(value, tuple) else (value,) for key, value in options.items()
    }
    with pytest.raises(RecipeError, match=r"data\.sources\.options: "):
        SourceRecipe(path=Path("x"), degradation=name, options=as_lists)


def test_options_are_a_degradation_s() -> None:
    with pytest.raises(RecipeError, match="options: are a degradation's"):
        SourceRecipe(path=Path("x"), options={"sigma": (0.1, 0.2)})


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("downscale", {"quality": 85.0}, "quality: downscale wants the lowest and the highest"),
        ("gaussian-noise", {"quality": 85.0}, "quality: gaussian-noise wants the lowest and the"),
        ("gaussian-noise", {"jpeg": (0.2, 0.8)}, "jpeg: gaussian-noise wants one number"),
        ("camera-noise", {"white": 5.0}, "white"),
        ("camera-noise", {"quantize": -3.0}, "quantize"),
    ],
)
def test_options_that_any_degradation_takes_are_checked_too(
    name: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        bound(name, options)
