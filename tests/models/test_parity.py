"""The blocks and the network against outputs of the reference implementation."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from mirnet.checkpoints.convert import block_name, released_names
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.mrb import MultiScaleResidualBlock
from mirnet.models.rcb import ContextModule, ResidualContextBlock
from mirnet.models.resampling import Downsample, Upsample
from mirnet.models.rrg import RecursiveResidualGroup
from mirnet.models.skff import SelectiveKernelFusion

GOLDEN = Path(__file__).parent.parent / "golden" / "parity"
TOLERANCE = 1e-5
"""Largest error over largest reference value."""

BLOCK_CONFIG = MIRNetV2Config(width=16, groups=(2,), blocks=2)
SKFF_NAMES = {"squeeze": "conv_du.0", "select.0": "fcs.0", "select.1": "fcs.1"}
CONTEXT_NAMES = {
    "mask": "conv_mask",
    "transform.0": "channel_add_conv.0",
    "transform.2": "channel_add_conv.2",
}
RCB_NAMES = {
    "conv1": "body.0",
    "conv2": "body.2",
    **{f"context.{ours}": f"gcnet.{theirs}" for ours, theirs in CONTEXT_NAMES.items()},
}


@pytest.fixture(scope="module")
def blocks() -> dict[str, Tensor]:
    return load_file(GOLDEN / "parity_blocks.safetensors")


def relative_error(output: Tensor, reference: Tensor) -> float:
    assert output.shape == reference.shape
    return float((output - reference).abs().max() / reference.abs().max())


def load(module: nn.Module, names: dict[str, str], golden: dict[str, Tensor], prefix: str) -> None:
    """Give the module the golden weights; every one of them has to be used."""
    used = {ours: f"{prefix}.{theirs}" for ours, theirs in names.items()}
    assert set(used.values()) == {name for name in golden if name.startswith(f"{prefix}.")}
    module.load_state_dict({ours: golden[theirs] for ours, theirs in used.items()})


@pytest.mark.parametrize(
    ("name", "module", "names"),
    [
        ("skff", SelectiveKernelFusion(64), SKFF_NAMES),
        ("context", ContextModule(24), CONTEXT_NAMES),
        ("rcb_g1", ResidualContextBlock(24, 1), RCB_NAMES),
        ("rcb_g2", ResidualContextBlock(24, 2), RCB_NAMES),
        ("rcb_g4", ResidualContextBlock(24, 4), RCB_NAMES),
        ("down", Downsample(16, 24), {"1": "body.0.bot.1"}),
        ("up", Upsample(24, 16), {"conv": "body.0.bot.0"}),
    ],
)
def test_block(
    name: str, module: nn.Module, names: dict[str, str], blocks: dict[str, Tensor]
) -> None:
    with_suffix = {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in names.items()}
    load(module, with_suffix, blocks, f"{name}.weights")
    inputs = [blocks[key] for key in sorted(blocks) if key.startswith(f"{name}.input")]
    with torch.inference_mode():
        output = module(inputs) if name == "skff" else module(*inputs)
    assert relative_error(output, blocks[f"{name}.output"]) <= TOLERANCE


def test_mrb(blocks: dict[str, Tensor]) -> None:
    module = MultiScaleResidualBlock(BLOCK_CONFIG, 2)
    load(module, {name: block_name(name) for name in module.state_dict()}, blocks, "mrb.weights")
    with torch.inference_mode():
        output = module(blocks["mrb.input0"])
    assert relative_error(output, blocks["mrb.output"]) <= TOLERANCE


def test_rrg(blocks: dict[str, Tensor]) -> None:
    module = RecursiveResidualGroup(BLOCK_CONFIG, 2)
    network_names = released_names(MIRNetV2(BLOCK_CONFIG))
    names = {
        name: network_names[f"groups.0.{name}"].removeprefix("body.0.")
        for name in module.state_dict()
    }
    load(module, names, blocks, "rrg.weights")
    with torch.inference_mode():
        output = module(blocks["rrg.input0"])
    assert relative_error(output, blocks["rrg.output"]) <= TOLERANCE


@pytest.mark.parametrize("residual", ["image", "features"])
def test_network(residual: str) -> None:
    golden = load_file(GOLDEN / f"parity_{residual.removesuffix('s')}_residual.safetensors")
    config = MIRNetV2Config(
        width=16,
        blocks=1,
        groups=(1, 2, 4, 4),
        in_channels=3 if residual == "image" else 6,
        residual="image" if residual == "image" else "features",
    )
    model = MIRNetV2(config)
    load(model, released_names(model), golden, "weights")
    inside = record_calls(model)
    cases = sorted(key.removesuffix(".input") for key in golden if key.endswith(".input"))
    assert len(cases) >= 2
    for case in cases:
        inside.clear()
        with torch.inference_mode():
            output = model(golden[f"{case}.input"])
        assert relative_error(output, golden[f"{case}.output"]) <= TOLERANCE
        after = [key for key in golden if key.startswith(f"{case}.after.")]
        for key in after:
            call = inside[key.removeprefix(f"{case}.after.")]
            assert relative_error(call[..., ::4, ::4], golden[key]) <= TOLERANCE, key
        assert case != "case0" or len(after) == 8


def record_calls(model: MIRNetV2) -> dict[str, Tensor]:
    """Outputs of the modules by released name and call, filled at every forward pass."""
    released = {"conv_in": "conv_in"}
    for i in range(len(model.config.groups)):
        released[f"groups.{i}"] = f"body.{i}"
    released["groups.0.blocks.0"] = "body.0.body.0"
    released["groups.0.blocks.0.fusion.0"] = "body.0.body.0.skff_top"
    calls: dict[str, Tensor] = {}

    def record(ours: str, name: str) -> None:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            number = sum(key.startswith(f"{name}.call") for key in calls)
            calls[f"{name}.call{number}"] = output.clone()

        model.get_submodule(ours).register_forward_hook(hook)

    for ours, name in released.items():
        record(ours, name)
    return calls
