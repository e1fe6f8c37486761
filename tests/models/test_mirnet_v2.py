from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.rcb import ContextModule
from mirnet.models.skff import SelectiveKernelFusion, pool

TINY: dict[str, Any] = {"width": 16, "blocks": 1, "groups": (2,)}


def tiny(**changes: Any) -> MIRNetV2Config:
    return MIRNetV2Config(**{**TINY, **changes})


ABLATIONS = {
    "paper": {},
    "released": {"groups": (1, 2, 4, 4)},
    "two blocks": {"blocks": 2},
    "no skips": {"skip_connections": False},
    "no intermediate fusion": {"intermediate_fusion": False},
    "no final fusion": {"final_fusion": False},
    "resblock": {"block": "resblock"},
    "no transform": {"block": "rcb-no-transform"},
    "sum": {"fusion": "sum"},
    "concat": {"fusion": "concat"},
    "features": {"in_channels": 6, "residual": "features"},
    "one channel": {"in_channels": 1, "out_channels": 1},
    "five views": {"in_channels": 15, "residual": "features"},
    **{
        f"{streams}×{columns}": {"streams": streams, "columns": columns}
        for streams in (1, 2, 3)
        for columns in (1, 2, 3)
    },
}


@pytest.mark.parametrize("changes", ABLATIONS.values(), ids=ABLATIONS.keys())
def test_every_parameter_of_every_config_gets_a_gradient(changes: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = MIRNetV2(tiny(**changes))
    image = torch.rand(2, model.config.in_channels, 12, 16)
    output = model(image)
    assert output.shape == (2, model.config.out_channels, 12, 16)
    output.square().mean().backward()
    without = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert without == []


@settings(max_examples=15, deadline=None)
@given(
    streams=st.integers(1, 3),
    columns=st.integers(1, 3),
    fusion=st.sampled_from(["skff", "sum", "concat"]),
    block=st.sampled_from(["rcb", "rcb-no-transform", "resblock"]),
    height=st.integers(1, 4),
    width=st.integers(1, 4),
)
def test_output_has_the_size_of_the_input(
    streams: int, columns: int, fusion: Any, block: Any, height: int, width: int
) -> None:
    config = tiny(streams=streams, columns=columns, fusion=fusion, block=block)
    image = torch.rand(1, 3, height * config.multiple, width * config.multiple)
    with torch.inference_mode():
        assert MIRNetV2(config)(image).shape == image.shape


def test_a_batch_is_restored_image_by_image() -> None:
    torch.manual_seed(0)
    model = MIRNetV2(tiny()).eval()
    images = torch.rand(3, 3, 16, 24)
    with torch.inference_mode():
        together = model(images)
        alone = torch.cat([model(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_without_skips_nothing_of_the_input_is_added() -> None:
    model = MIRNetV2(tiny(skip_connections=False))
    torch.nn.init.zeros_(model.conv_out.weight)
    assert not model(torch.rand(1, 3, 8, 8)).any()


def test_fusion_that_is_off_builds_nothing_for_it() -> None:
    full = {name for name, _ in MIRNetV2(tiny()).named_parameters()}
    final_off = {name for name, _ in MIRNetV2(tiny(final_fusion=False)).named_parameters()}
    assert {name.split(".")[5] for name in full - final_off if ".up." in name} == {"1"}


def test_wrong_shapes_are_refused_with_the_reason() -> None:
    model = MIRNetV2(tiny())
    with pytest.raises(ValueError, match=r"takes \(N, 3, H, W\), got \(1, 4, 8, 8\)"):
        model(torch.rand(1, 4, 8, 8))
    with pytest.raises(ValueError, match="multiples of 4, got 8×9"):
        model(torch.rand(1, 3, 8, 9))


def test_half_precision_is_close_and_gives_float32() -> None:
    torch.manual_seed(0)
    model = MIRNetV2(tiny()).eval()
    image = torch.rand(1, 3, 256, 256)
    with torch.inference_mode():
        exact = model(image)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(image)
    assert half.dtype == torch.float32
    assert (half - exact).abs().max() < 0.02


def attended(scores: Tensor, features: Tensor) -> Tensor:
    """The context's vector in float64."""
    weights = torch.softmax(scores.double().flatten(2), 2)
    return (features.double().flatten(2) * weights).sum(2)[:, :, None, None]


def test_the_softmax_over_positions_and_its_sum_are_taken_in_float32() -> None:
    """The scores are half precision; what is made of them is not, or it was off by 1e-3."""
    torch.manual_seed(0)
    context = ContextModule(8)
    features = torch.randn(1, 8, 36, 44).bfloat16()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        expected = attended(context.mask(features), features)
        assert (context.attend(features).vector() - expected).abs().max() < 1e-6


@pytest.mark.parametrize("shift", [-200.0, 0.0, 200.0])
def test_sums_over_parts_merge_though_their_scores_lie_far_apart(shift: float) -> None:
    torch.manual_seed(0)
    context = ContextModule(4)
    torch.nn.init.ones_(context.mask.weight)
    parts = [torch.randn(1, 4, 6, 5) + offset / 4 for offset in (0.0, shift, shift / 80)]
    whole = torch.cat(parts, 2)
    with torch.inference_mode():
        first, *others = (context.attend(part) for part in parts)
        for other in others:
            first = first.merged(other)
        expected = attended(context.mask(whole), whole)
    torch.testing.assert_close(first.vector().double(), expected, rtol=1e-4, atol=1e-5)


def test_means_of_half_precision_are_rounded_once() -> None:
    torch.manual_seed(0)
    features = torch.rand(1, 256, 7, 9).bfloat16()
    assert torch.equal(pool(features), features.double().mean((2, 3), keepdim=True).bfloat16())


def test_weights_of_the_fusion_are_rounded_once() -> None:
    torch.manual_seed(0)
    fusion = SelectiveKernelFusion(64)
    pooled = [torch.randn(1, 64, 1, 1).bfloat16() for _ in range(2)]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        squeezed = fusion.activation(fusion.squeeze(torch.stack(pooled).sum(0)))
        scores = torch.stack([conv(squeezed) for conv in fusion.select])
        expected = torch.softmax(scores.double(), 0).bfloat16()
        assert torch.equal(fusion.weights(pooled), expected)


def test_the_last_convolution_is_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    model = MIRNetV2(tiny()).eval()
    features = torch.randn(1, 16, 12, 12).bfloat16()
    with torch.inference_mode():
        expected = model.conv_out(features.float())
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(model.to_image(features), expected)
