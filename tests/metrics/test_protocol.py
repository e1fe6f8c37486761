from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from mirnet.errors import NonFiniteError
from mirnet.imaging.quantize import from_planes, to_planes
from mirnet.metrics.protocol import PROTOCOLS, score

SEEDS = st.integers(0, 2**31)
NAMES = st.sampled_from(sorted(PROTOCOLS))


def random_pair(seed: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    """An output that leaves [0, 1] here and there and its target, (N, 3, 21, 24) in float32."""
    generator = torch.Generator().manual_seed(seed)
    output, target = torch.rand(2, batch, 3, 21, 24, generator=generator)
    return target + 0.4 * (output - 0.5), target


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for metric, values in ours.items():
        torch.testing.assert_close(values, theirs[metric], atol=1e-9, rtol=0)


def test_the_benchmarks_of_the_paper_are_there_under_their_own_names() -> None:
    expected = {"sidd", "realsr-x2", "realsr-x3", "realsr-x4", "lol", "fivek", "dpdd", "photo"}
    assert set(PROTOCOLS) == expected
    assert all(protocol.name == name for name, protocol in PROTOCOLS.items())


@given(seed=SEEDS, name=NAMES, batch=st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_is_symmetric_bounded_and_the_same_alone_as_in_a_batch(
    seed: int, name: Any, batch: int
) -> None:
    output, target = random_pair(seed, batch)
    ours = score(output, target, PROTOCOLS[name])
    assert tuple(ours) == PROTOCOLS[name].metrics
    assert all(values.shape == (batch,) for values in ours.values())
    assert ((ours["ssim"] >= -1) & (ours["ssim"] < 1)).all()
    assert (ours["psnr"] > 0).all()
    assert_same(ours, score(target, output, PROTOCOLS[name]))
    alone = [score(output[i : i + 1], target[i : i + 1], PROTOCOLS[name]) for i in range(batch)]
    assert_same(ours, {metric: torch.cat([one[metric] for one in alone]) for metric in ours})


@given(seed=SEEDS, name=NAMES, crop=st.tuples(*[st.integers(0, 4)] * 4))
@settings(max_examples=25, deadline=None)
def test_what_the_crop_cuts_off_does_not_count(
    seed: int, name: Any, crop: tuple[int, int, int, int]
) -> None:
    output, target = random_pair(seed)
    top, bottom, left, right = crop
    protocol = replace(PROTOCOLS[name], crop=crop)
    framed = (
        F.pad(output, (left, right, top, bottom), value=1),
        F.pad(target, (left, right, top, bottom), value=0),
    )
    uncropped = replace(protocol, crop=(0, 0, 0, 0))
    assert_same(score(*framed, protocol), score(output, target, uncropped))


@given(seed=SEEDS, name=NAMES)
@settings(max_examples=15, deadline=None)
def test_values_beyond_black_and_white_are_clipped(seed: int, name: Any) -> None:
    output, target = random_pair(seed)
    clipped = score(output.clamp(0, 1), target, PROTOCOLS[name])
    assert_same(score(output, target, PROTOCOLS[name]), clipped)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_identical_images(name: Any) -> None:
    _, target = random_pair(0)
    scores = {metric: v.item() for metric, v in score(target, target, PROTOCOLS[name]).items()}
    assert scores == {"psnr": math.inf, "ssim": 1.0} | ({"mae": 0.0} if name == "dpdd" else {})


@pytest.mark.parametrize(
    ("value", "level"), [(0.49 / 255, 0), (0.5 / 255, 1), (127.5 / 255, 128), (254.51 / 255, 255)]
)
def test_8bit_protocols_score_the_saved_file_and_halves_go_up(value: float, level: int) -> None:
    output = torch.full((1, 3, 16, 16), value, dtype=torch.float64)
    saved = torch.full_like(output, level / 255)
    assert math.isinf(score(output, saved, PROTOCOLS["lol"])["psnr"].item())
    assert math.isfinite(score(output, saved, PROTOCOLS["sidd"])["psnr"].item())


def test_8bit_protocols_score_the_saved_file_beside_halves_too() -> None:
    halves = ((np.arange(255) + 0.5) / 255).astype(np.float32)
    beside = [halves, np.nextafter(halves, np.float32(0)), np.nextafter(halves, np.float32(1))]
    planes = np.resize(np.concatenate(beside), (3, 16, 48))
    saved = to_planes(from_planes(planes, channels=3, dtype=np.uint8))
    output, again = torch.from_numpy(planes)[None], torch.from_numpy(saved)[None]
    assert math.isinf(score(output, again, PROTOCOLS["lol"])["psnr"].item())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_scores_are_float64_whatever_comes_in(dtype: torch.dtype) -> None:
    output, target = (image.to(dtype) for image in random_pair(3))
    rounded = score(output, target, PROTOCOLS["realsr-x4"])
    assert all(values.dtype == torch.float64 for values in rounded.values())
    assert_same(rounded, score(output.double(), target.double(), PROTOCOLS["realsr-x4"]))


def test_8bit_tensors_are_refused_rather_than_clipped_to_white() -> None:
    image = torch.full((1, 3, 16, 16), 200, dtype=torch.uint8)
    with pytest.raises(ValueError, match="output: must be floating point"):
        score(image, image, PROTOCOLS["lol"])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_clipping_does_not_hide_non_finite_values(value: float) -> None:
    output, target = random_pair(0)
    output[0, 0, 0, 0] = value  # a pixel that RealSR's crop would cut off
    with pytest.raises(NonFiniteError, match="output"):
        score(output, target, PROTOCOLS["realsr-x2"])


def test_an_image_that_the_crop_leaves_nothing_of_is_refused() -> None:
    tiny = torch.rand(1, 3, 7, 30)
    with pytest.raises(ValueError, match=r"realsr-x4 cuts 7 rows.*7×30"):
        score(tiny, tiny, PROTOCOLS["realsr-x4"])


def test_luma_needs_rgb() -> None:
    grey = torch.rand(1, 1, 30, 30)
    assert score(grey, grey, PROTOCOLS["photo"])["ssim"].item() == 1
    with pytest.raises(ValueError, match="RGB"):
        score(grey, grey, PROTOCOLS["realsr-x2"])


@pytest.mark.parametrize(
    "change",
    [
        {"peak": 1.0},
        {"round_to_8bit": False, "peak": 1.0},
        {"color": "lab"},
        {"ssim": "matlab"},
        {"crop": (0, 0, -1, 0)},
        {"crop": (0, 0)},
        {"metrics": ()},
        {"metrics": ("psnr", "psnr")},
        {"metrics": ("vmaf",)},
    ],
)
def test_a_protocol_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    field = "color" if change.get("round_to_8bit") is False else next(iter(change))
    with pytest.raises(ValueError, match=f"^{field}: "):
        replace(PROTOCOLS["realsr-x2"], **change)
