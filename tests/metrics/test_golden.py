"""Our scores against those that MATLAB-compatible tools gave the same image pairs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from mirnet.imaging.color import rgb_to_y
from mirnet.metrics.mae import mae
from mirnet.metrics.protocol import PROTOCOLS, score
from mirnet.metrics.psnr import psnr
from mirnet.metrics.ssim import ssim_uniform, ssim_volume

FOLDER = Path(__file__).parents[1] / "golden" / "metrics"
GOLDEN: dict[str, dict[str, float]] = json.loads((FOLDER / "golden.json").read_text("utf-8"))
TOLERANCE = 1e-6
PSNR_TOLERANCE_DB = 1e-5
KEYS = (
    "psnr_rgb_uint8",
    *(f"y_x{scale}_{metric}" for scale in (2, 3, 4) for metric in ("psnr", "ssim")),
    "y_target_sum",
    "psnr_rgb_float",
    "ssim_volume_rgb",
    "ssim_uniform7_rgb",
    "mae",
)


@cache
def read(name: str) -> Tensor:
    """The 8-bit levels of a PNG, (1, 3, H, W) in float64."""
    levels = torch.from_numpy(pyvips.Image.new_from_file(str(FOLDER / name)).numpy().copy())
    return levels.permute(2, 0, 1).unsqueeze(0).double()


@pytest.fixture(params=GOLDEN)
def pair(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def assert_golden(value: Tensor, pair: str, key: str) -> None:
    tolerance = PSNR_TOLERANCE_DB if "psnr" in key else TOLERANCE
    assert value.item() == pytest.approx(GOLDEN[pair][key], rel=0, abs=tolerance)


def scored(pair: str, protocol: Any) -> dict[str, Tensor]:
    output, target = (read(f"{pair}_{role}.png").float() / 255 for role in ("output", "target"))
    return score(output, target, PROTOCOLS[protocol])


def test_every_golden_value_is_checked_below() -> None:
    assert len(GOLDEN) == 8
    assert all(set(values) == set(KEYS) for values in GOLDEN.values())


def test_metrics_on_0_to_1(pair: str) -> None:
    output, target = read(f"{pair}_output.png") / 255, read(f"{pair}_target.png") / 255
    assert_golden(psnr(output, target, data_range=1), pair, "psnr_rgb_float")
    assert_golden(ssim_volume(output, target, data_range=1), pair, "ssim_volume_rgb")
    assert_golden(ssim_uniform(output, target, data_range=1), pair, "ssim_uniform7_rgb")
    assert_golden(mae(output, target, data_range=1), pair, "mae")


def test_luma_of_the_target(pair: str) -> None:
    luma = rgb_to_y(read(f"{pair}_target.png").float() / 255)
    assert_golden(luma.double().sum(), pair, "y_target_sum")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_realsr(pair: str, scale: int) -> None:
    scores = scored(pair, f"realsr-x{scale}")
    assert_golden(scores["psnr"], pair, f"y_x{scale}_psnr")
    assert_golden(scores["ssim"], pair, f"y_x{scale}_ssim")


def test_photo_is_what_scikit_image_gives(pair: str) -> None:
    """Its SSIM is that of people's own scripts: per channel, Gaussian, MATLAB's constants."""
    output, target = (
        read(f"{pair}_{role}.png")[0].permute(1, 2, 0).numpy().astype(np.uint8)
        for role in ("output", "target")
    )
    expected = structural_similarity(
        output,
        target,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    scores = scored(pair, "photo")
    assert_golden(scores["psnr"], pair, "psnr_rgb_uint8")
    assert scores["ssim"].item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("protocol", ["lol", "fivek"])
def test_saved_rgb(pair: str, protocol: str) -> None:
    scores = scored(pair, protocol)
    assert_golden(scores["psnr"], pair, "psnr_rgb_uint8")
    assert_golden(scores["ssim"], pair, "ssim_volume_rgb")


def test_sidd(pair: str) -> None:
    scores = scored(pair, "sidd")
    assert_golden(scores["psnr"], pair, "psnr_rgb_float")
    assert_golden(scores["ssim"], pair, "ssim_volume_rgb")


def test_dpdd(pair: str) -> None:
    scores = scored(pair, "dpdd")
    assert_golden(scores["psnr"], pair, "psnr_rgb_float")
    assert_golden(scores["ssim"], pair, "ssim_uniform7_rgb")
    assert_golden(scores["mae"], pair, "mae")
