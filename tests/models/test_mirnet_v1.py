"""MIRNet (v1): the counts that its successor's paper prints, and its blocks."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from torch.nn import functional as F

from mirnet.models.complexity import complexity
from mirnet.models.mirnet_v1 import (
    DualAttentionUnit,
    MIRNetV1,
    MIRNetV1Config,
    SelectiveKernelFusion3,
    _Blur,
    _Down,
    _Up,
)

TINY = MIRNetV1Config(width=8, recursive_groups=1, blocks=1)


def test_the_counts_of_table_1() -> None:
    counts = complexity(MIRNetV1Config())
    assert counts.parameters == 31_787_436
    assert counts.convolutions == 635
    assert counts.convolution_modules == 455
    assert round(counts.activations / 1e6, 2) == 1270.02
    assert round(counts.macs / 1e9, 1) == 479.4


@pytest.mark.parametrize(
    "changes", [{}, {"in_channels": 6, "residual": "features"}, {"recursive_groups": 2}]
)
def test_shapes_and_every_parameter_learns(changes: dict[str, object]) -> None:
    torch.manual_seed(0)
    config = TINY.with_changes(width=32, **changes)  # fewer squeezed channels can all be below 0
    network = MIRNetV1(config)
    image = torch.rand(2, config.in_channels, 16, 24)
    output = network(image)
    assert output.shape == (2, 3, 16, 24)
    output.square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.abs().sum() > 0), name


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="must be multiples of 4, got 10×16"):
        MIRNetV1(TINY)(torch.rand(1, 3, 10, 16))
    with pytest.raises(ValueError, match=r"takes \(N, 3, H, W\), got \(1, 6, 16, 16\)"):
        MIRNetV1(TINY)(torch.rand(1, 6, 16, 16))


def test_the_blur_is_the_binomial_one_on_every_second_place() -> None:
    image = np.random.default_rng(0).random((9, 12))
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    expected = convolve(image, kernel, mode="mirror")[::2, ::2]
    blurred = _Blur(2)(torch.from_numpy(image).float().expand(1, 2, 9, 12))
    for channel in range(2):
        np.testing.assert_allclose(blurred[0, channel].numpy(), expected, atol=1e-6)


def test_steps_change_resolution_and_width() -> None:
    features = torch.rand(1, 8, 12, 16)
    assert _Down(8)(features).shape == (1, 16, 6, 8)
    assert _Up(8)(features).shape == (1, 4, 24, 32)


def test_the_attention_unit_is_its_definition() -> None:
    torch.manual_seed(1)
    unit, features = DualAttentionUnit(16), torch.rand(2, 16, 10, 12)
    conv1, activation, conv2 = unit.body
    body = conv2(activation(conv1(features)))
    extremes = torch.stack([body.max(dim=1).values, body.mean(dim=1)], dim=1)
    places = torch.sigmoid(F.conv2d(extremes, unit.place.weight, padding=2))
    pooled = body.mean(dim=(2, 3), keepdim=True)
    channels = torch.sigmoid(unit.excite(torch.relu(unit.squeeze(pooled))))
    joined = unit.join(torch.cat([places * body, channels * body], dim=1))
    torch.testing.assert_close(unit(features), joined + features)


def test_the_fusion_s_weights_add_up_to_one() -> None:
    fusion, features = SelectiveKernelFusion3(16), torch.rand(1, 16, 8, 8)
    torch.testing.assert_close(fusion([features] * 3), features)
    streams = [torch.rand(1, 16, 8, 8) for _ in range(3)]
    low = torch.stack(streams).amin(0)
    high = torch.stack(streams).amax(0)
    fused = fusion(streams)
    assert bool(((fused >= low - 1e-6) & (fused <= high + 1e-6)).all())
