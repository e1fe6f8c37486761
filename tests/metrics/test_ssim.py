from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch import Tensor

from mirnet.errors import NonFiniteError
from mirnet.metrics import ssim
from mirnet.metrics.ssim import ssim_uniform, ssim_volume, ssim_wang


class Ssim(Protocol):
    def __call__(self, output: Tensor, target: Tensor, *, data_range: float) -> Tensor: ...


FORMS = pytest.mark.parametrize("form", [ssim_volume, ssim_wang, ssim_uniform])
reference: Any = structural_similarity  # it has no types
SEEDS = st.integers(0, 2**31)
GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def random_pair(seed: int, shape: tuple[int, int, int, int]) -> tuple[Tensor, Tensor]:
    """Two related images of shape (N, C, H, W) in [0, 1], in float64."""
    generator = torch.Generator().manual_seed(seed)
    target, noise = torch.rand(2, *shape, generator=generator, dtype=torch.float64)
    return (0.7 * target + 0.3 * noise), target


@given(seed=SEEDS, height=st.integers(7, 30), width=st.integers(7, 30))
@settings(max_examples=20, deadline=None)
def test_uniform_is_the_default_of_scikit_image(seed: int, height: int, width: int) -> None:
    output, target = random_pair(seed, (1, 3, height, width))
    expected = reference(output[0].numpy(), target[0].numpy(), channel_axis=0, data_range=1)
    assert ssim_uniform(output, target, data_range=1).item() == pytest.approx(expected, abs=1e-9)


@given(seed=SEEDS, height=st.integers(11, 30), width=st.integers(11, 30))
@settings(max_examples=20, deadline=None)
def test_wang_is_the_gaussian_form_of_scikit_image(seed: int, height: int, width: int) -> None:
    output, target = random_pair(seed, (1, 3, height, width))
    expected = reference(
        output[0].numpy(), target[0].numpy(), channel_axis=0, data_range=1, **GAUSSIAN
    )
    assert ssim_wang(output, target, data_range=1).item() == pytest.approx(expected, abs=1e-9)


@given(seed=SEEDS, channels=st.integers(1, 7), height=st.integers(1, 20), width=st.integers(1, 20))
@settings(max_examples=20, deadline=None)
def test_volume_is_the_gaussian_form_on_a_replicated_volume(
    seed: int, channels: int, height: int, width: int
) -> None:
    output, target = random_pair(seed, (1, channels, height, width))
    # scikit-image cuts 5 off every side of a volume: put 5 there for it, channels included.
    padded = [np.pad(image[0].numpy(), 5, mode="edge") for image in (output, target)]
    expected = reference(*padded, data_range=1, **GAUSSIAN)
    assert ssim_volume(output, target, data_range=1).item() == pytest.approx(expected, abs=1e-9)


@FORMS
@given(seed=SEEDS, batch=st.integers(0, 3), channels=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_is_symmetric_bounded_and_independent_of_batch_and_scale(
    form: Ssim, seed: int, batch: int, channels: int
) -> None:
    output, target = random_pair(seed, (batch, channels, 13, 12))
    ours = form(output, target, data_range=1)
    assert ours.shape == (batch,)
    assert ours.dtype == torch.float64
    assert ((ours >= -1) & (ours < 1)).all()
    assert torch.equal(ours, form(target, output, data_range=1))
    scaled = form(output * 255, target * 255, data_range=255)
    torch.testing.assert_close(ours, scaled, atol=1e-9, rtol=0)
    for i in range(batch):
        alone = form(output[i : i + 1], target[i : i + 1], data_range=1)
        torch.testing.assert_close(alone, ours[i : i + 1], atol=1e-12, rtol=0)


@FORMS
@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_an_inverted_image_is_never_alike(form: Ssim, seed: int) -> None:
    _, target = random_pair(seed, (1, 3, 12, 12))
    assert -1 <= form(1 - target, target, data_range=1).item() < 0


@FORMS
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_identical_images_score_exactly_1(form: Ssim, level: float) -> None:
    flat = torch.full((1, 3, 17, 23), level)
    noisy = torch.rand(1, 3, 17, 23, generator=torch.Generator().manual_seed(0))
    images = torch.cat([flat, noisy])
    assert form(images, images.clone(), data_range=1).tolist() == [1.0, 1.0]


@FORMS
def test_flat_images_compare_their_levels(form: Ssim) -> None:
    output, target = torch.full((1, 3, 12, 12), 0.25), torch.full((1, 3, 12, 12), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert form(output, target, data_range=1).item() == pytest.approx(expected, abs=1e-9)


@FORMS
@pytest.mark.parametrize("rows", [1, 5, 40])
def test_bands_do_not_show(form: Ssim, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    output, target = random_pair(1, (1, 3, 37, 15))
    whole = form(output, target, data_range=1)
    monkeypatch.setattr(ssim, "BAND_ROWS", rows)
    torch.testing.assert_close(form(output, target, data_range=1), whole, atol=1e-12, rtol=0)


def test_channels_reach_into_each_other_in_the_volume_only() -> None:
    output, target = random_pair(2, (1, 3, 16, 16))
    singles = [
        [form(output[:, c : c + 1], target[:, c : c + 1], data_range=1) for c in range(3)]
        for form in (ssim_volume, ssim_wang, ssim_uniform)
    ]
    volume, wang, uniform = (torch.cat(scores).mean().item() for scores in singles)
    assert abs(ssim_volume(output, target, data_range=1).item() - volume) > 1e-3
    assert ssim_wang(output, target, data_range=1).item() == pytest.approx(wang, abs=1e-12)
    assert ssim_uniform(output, target, data_range=1).item() == pytest.approx(uniform, abs=1e-12)


@pytest.mark.parametrize(("form", "size"), [(ssim_wang, 11), (ssim_uniform, 7)])
def test_an_image_below_the_window_is_refused(form: Ssim, size: int) -> None:
    smallest = torch.rand(1, 3, size, size)
    assert form(smallest, smallest, data_range=1).item() == 1
    with pytest.raises(ValueError, match=f"{size}×{size} window.*ssim_volume"):
        form(smallest[..., 1:], smallest[..., 1:], data_range=1)


@FORMS
def test_refuses_what_it_cannot_compare(form: Ssim) -> None:
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="data_range"):
        form(image, image, data_range=0)
    with pytest.raises(ValueError, match="nothing is broadcast"):
        form(image, image[:, :1], data_range=1)
    with pytest.raises(NonFiniteError, match="target: image 0 of 1"):
        form(image, image * torch.inf, data_range=1)
