from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio

from mirnet.errors import NonFiniteError
from mirnet.metrics.psnr import psnr

reference: Any = peak_signal_noise_ratio  # it has no types


@given(seed=st.integers(0, 2**31), data_range=st.sampled_from([1.0, 255.0]))
@settings(max_examples=20, deadline=None)
def test_agrees_with_scikit_image(seed: int, data_range: float) -> None:
    pair = torch.rand(2, 3, 9, 13, generator=torch.Generator().manual_seed(seed)) * data_range
    expected = reference(pair[1].double().numpy(), pair[0].double().numpy(), data_range=data_range)
    ours = psnr(pair[:1], pair[1:], data_range=data_range)
    assert ours.item() == pytest.approx(expected, abs=1e-9)


@given(
    offset=st.floats(1e-3, 1), batch=st.integers(0, 3), dtype=st.sampled_from([torch.float32, None])
)
@settings(max_examples=20, deadline=None)
def test_constant_error_has_a_known_psnr(
    offset: float, batch: int, dtype: torch.dtype | None
) -> None:
    target = torch.zeros(batch, 3, 4, 5, dtype=dtype or torch.float64)
    ours = psnr(target + offset, target, data_range=1)
    assert ours.shape == (batch,)
    assert ours.dtype == torch.float64
    torch.testing.assert_close(
        ours, torch.full_like(ours, -20 * math.log10(offset)), atol=1e-5, rtol=0
    )


def test_8bit_images_need_no_conversion() -> None:
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    white = torch.full_like(black, 255)
    assert psnr(black, white, data_range=255).item() == 0
    assert psnr(white, black, data_range=255).item() == 0


def test_identical_images_have_infinite_psnr_without_touching_their_neighbours() -> None:
    target = torch.rand(2, 3, 8, 8)
    output = target.clone()
    output[1] = 1 - output[1]
    first, second = psnr(output, target, data_range=1).tolist()
    assert math.isinf(first)
    assert first > 0
    assert math.isfinite(second)


def test_data_range_is_mandatory_and_above_zero() -> None:
    image = torch.rand(1, 3, 8, 8)
    with pytest.raises(TypeError, match="data_range"):
        psnr(image, image)  # type: ignore[call-arg]
    for wrong in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match="data_range"):
            psnr(image, image, data_range=wrong)


@pytest.mark.parametrize(
    ("output", "target", "message"),
    [
        ((1, 3, 8, 8), (1, 3, 8, 9), "nothing is broadcast"),
        ((2, 3, 8, 8), (1, 3, 8, 8), "nothing is broadcast"),
        ((3, 8, 8), (3, 8, 8), r"\(N, C, H, W\)"),
        ((1, 3, 0, 8), (1, 3, 0, 8), r"\(N, C, H, W\)"),
    ],
)
def test_wrong_shapes_are_refused(
    output: tuple[int, ...], target: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        psnr(torch.zeros(output), torch.zeros(target), data_range=1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_images_are_named(value: float) -> None:
    clean = torch.rand(3, 1, 4, 4)
    broken = clean.clone()
    broken[2, 0, 1, 1] = value
    with pytest.raises(NonFiniteError, match="output: image 2 of 3"):
        psnr(broken, clean, data_range=1)
    with pytest.raises(NonFiniteError, match="target: image 2 of 3"):
        psnr(clean, broken, data_range=1)


def test_no_gradient_is_kept() -> None:
    output = torch.rand(1, 3, 4, 4, requires_grad=True)
    assert not psnr(output, torch.rand(1, 3, 4, 4), data_range=1).requires_grad
