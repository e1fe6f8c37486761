"""MIRNet (v1): the counts that its successor's paper prints, and its blocks."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from torch import nn
from torch.nn import functional as F

from mirnet.models.complexity import complexity
from mirnet.models.mirnet_v1 import (
    DualAttentionUnit,
    MIRNetV1,
    MIRNetV1Config,
    _Block,
    _Blur,
    _Down,
    _Group,
    _Up,
)
from mirnet.models.skff import SelectiveKernelFusion

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


def test_the_fusion_is_its_definition() -> None:
    torch.manual_seed(2)
    fusion = _Block((16, 32, 64)).fuse[0]
    assert isinstance(fusion, SelectiveKernelFusion)
    assert isinstance(fusion.activation, nn.PReLU)
    streams = torch.rand(3, 2, 16, 8, 8)
    pooled = streams.sum(0).mean(dim=(2, 3), keepdim=True)
    squeezed = F.prelu(fusion.squeeze(pooled), fusion.activation.weight)
    weights = torch.softmax(torch.stack([conv(squeezed) for conv in fusion.select]), dim=0)
    torch.testing.assert_close(fusion(list(streams)), (weights * streams).sum(0))


def test_a_step_down_is_its_definition() -> None:
    torch.manual_seed(3)
    step, features = _Down(8), torch.rand(2, 8, 12, 16)
    conv1, rise1, conv3, rise3, blur, last = step.long
    long = last(blur(rise3(conv3(rise1(conv1(features))))))
    assert [conv.kernel_size for conv in (conv1, conv3, last)] == [(1, 1), (3, 3), (1, 1)]
    short = step.short[1](_Blur(8)(features))
    torch.testing.assert_close(step(features), long + short)
    assert step(features).shape == (2, 16, 6, 8)


def test_a_step_up_is_its_definition() -> None:
    torch.manual_seed(4)
    step, features = _Up(8), torch.rand(2, 8, 6, 8)
    conv1, rise1, transposed, rise3, last = step.long
    long = last(rise3(transposed(rise1(conv1(features)))))
    enlarged = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(step(features), long + step.short[1](enlarged))
    assert step(features).shape == (2, 4, 12, 16)


def test_a_block_is_wired_as_published() -> None:
    """Each stream starts from what the unit above gives; all go to all, twice; ends are added."""
    torch.manual_seed(5)
    block, x = _Block((8, 16, 32)), torch.rand(2, 8, 12, 16)
    attend1, attend2, attend3 = block.attend
    fuse1, fuse2, fuse3 = block.fuse
    step = block.between
    # First column, top to bottom.
    full = attend1(x)
    half = attend2(step["0-1"](full))
    quarter = attend3(step["1-2"](half))
    # Everything exchanged.
    at_full = fuse1([full, step["1-0"](half), step["2-0"](quarter)])
    at_half = fuse2([step["0-1"](full), half, step["2-1"](quarter)])
    at_quarter = fuse3([step["0-2"](full), step["1-2"](half), quarter])
    # Second column, by the same units; then up by steps of its own, and the first fusion again.
    raised_half, raised_quarter = block.up[0](attend2(at_half)), block.up[1](attend3(at_quarter))
    expected = block.conv(fuse1([attend1(at_full), raised_half, raised_quarter])) + x
    torch.testing.assert_close(block(x), expected)


def test_groups_and_ends_are_wired_as_published() -> None:
    torch.manual_seed(6)
    image = torch.rand(1, 3, 8, 12)
    network = MIRNetV1(TINY.with_changes(recursive_groups=2, blocks=2)).eval()
    shallow = deep = network.conv_in(image)
    for group in network.groups:
        assert isinstance(group, _Group)
        first, second = group.blocks
        deep = group.conv(second(first(deep))) + deep
    torch.testing.assert_close(network(image), network.conv_out(deep) + image)
    dual = MIRNetV1(TINY.with_changes(in_channels=6, residual="features")).eval()
    views = torch.rand(1, 6, 8, 12)
    shallow = dual.conv_in(views)
    torch.testing.assert_close(dual(views), dual.conv_out(dual.groups(shallow) + shallow))
