from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet.inference.memory import LiveBytes
from mirnet.inference.treatment import Treatment, luma, structure


def noise(deviation: float, seed: int = 0, size: int = 128) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return deviation * torch.randn(1, 3, size, size, generator=generator)


def stripes(size: int = 128) -> Tensor:
    """Fine, regular structure."""
    return (0.5 + 0.2 * torch.sin(torch.arange(size) * 1.2)).expand(1, 3, size, size)


def test_luma_is_that_of_bt_601() -> None:
    colours = torch.eye(3)[:, :, None, None]
    assert luma(colours).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])


def test_chroma_only_keeps_the_luma_and_takes_the_colour() -> None:
    inputs = (0.5 + noise(0.05)).clamp(0, 1)
    outputs = torch.full_like(inputs, 0.5)
    result = Treatment(chroma_only=True).after(inputs, outputs)
    assert (luma(result) - luma(inputs)).abs().max() <= 1e-6
    assert (result - result.mean(1, keepdim=True)).abs().max() <= 1e-6


def test_detail_comes_back_and_noise_does_not() -> None:
    """The network took both; what comes back is closer to what was there."""
    clean = torch.full((1, 3, 128, 128), 0.5)
    clean[..., 40:90, 40:90] = stripes()[..., 40:90, 40:90]
    inputs, outputs = clean + noise(0.02), torch.full_like(clean, 0.5)
    errors = [
        float((Treatment(detail=detail).after(inputs, outputs) - clean).square().mean().sqrt())
        for detail in (0.0, 0.5, 1.0)
    ]
    assert errors[1] < 0.75 * errors[0]
    assert errors[2] < 0.5 * errors[0]


def test_of_noise_alone_little_comes_back() -> None:
    taken = luma(noise(0.05))
    assert structure(taken).square().mean() <= 0.01 * taken.square().mean()


def test_a_change_of_brightness_stays() -> None:
    inputs = stripes() * 0.3
    outputs = stripes() * 0.3 + 0.4
    result = Treatment(detail=1.0).after(inputs, outputs)
    assert (result - outputs).abs().max() <= 1e-5


def test_images_of_a_batch_are_treated_each_for_itself() -> None:
    inputs = torch.cat([stripes() + noise(0.02), 0.5 + noise(0.1, seed=1)]).clamp(0, 1)
    outputs = torch.full_like(inputs, 0.5)
    treatment = Treatment(detail=0.7, strength=0.8)
    both = treatment.after(inputs, outputs)
    for i in range(2):
        alone = treatment.after(inputs[i : i + 1], outputs[i : i + 1])
        assert torch.allclose(both[i], alone[0], atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 40)])
def test_tiny_images_have_detail_too(size: tuple[int, int]) -> None:
    images = torch.rand(1, 3, *size)
    result = Treatment(detail=1.0).after(images, images * 0.9)
    assert result.shape == images.shape
    assert torch.isfinite(result).all()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("strength", -0.1),
        ("strength", 1.1),
        ("strength", "1"),
        ("strength", None),
        ("detail", 2),
        ("detail", float("nan")),
        ("enlarge", 0),
        ("enlarge", 5),
        ("enlarge", 1.5),
        ("enlarge", 2.0),
        ("enlarge", True),
    ],
)
def test_what_is_out_of_range_is_refused(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{option} is "):
        Treatment(**{option: value})


def test_detail_beside_chroma_only_counts_for_nothing_and_is_refused() -> None:
    with pytest.raises(ValueError, match="which chroma_only keeps anyway"):
        Treatment(chroma_only=True, detail=0.5)


def test_without_options_the_output_is_the_result() -> None:
    outputs = torch.rand(1, 3, 4, 4)
    assert torch.equal(Treatment().after(torch.rand(1, 3, 4, 4), outputs), outputs)
    assert not Treatment().blends
    assert np.all([Treatment(strength=0.5).blends, Treatment(detail=0.1).blends])


@pytest.mark.parametrize(
    "treatment",
    [Treatment(strength=0.5), Treatment(chroma_only=True)],
)
def test_it_takes_no_more_memory_than_it_says(treatment: Treatment) -> None:
    inputs, outputs = torch.rand(1, 3, 300, 400), torch.rand(1, 3, 300, 400)
    with LiveBytes() as live:
        treatment.after(inputs, outputs)
    # The rest is the copy of the input that is clipped, and what the convolutions take.
    assert live.peak <= treatment.bytes_per_pixel * 300 * 400
    assert live.peak >= 0.4 * treatment.bytes_per_pixel * 300 * 400
