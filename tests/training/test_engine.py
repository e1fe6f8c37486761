"""Arithmetic, memory and processes of a run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file

from mirnet.errors import DeviceError, InsufficientMemoryError, NonFiniteError, RecipeError
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.networks import build
from mirnet.training.engine import compiled, make_fabric, processes
from mirnet.training.loop import train
from mirnet.training.recipe import OptimRecipe
from mirnet.training.step import take_step
from tests.training.conftest import MakeRecipe
from tests.training.test_team import log_of

CPU = torch.device("cpu")


def fabric_of(make_recipe: MakeRecipe, precision: str) -> Fabric:
    return make_fabric(make_recipe(precision=precision), CPU)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_does_not_round_the_picture_that_is_added(
    make_recipe: MakeRecipe, precision: str
) -> None:
    recipe = make_recipe(precision=precision)
    network = build(recipe.model.config())
    torch.nn.init.zeros_(network.conv_out.weight)
    model = fabric_of(make_recipe, precision).setup(network)
    picture = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(model(picture), picture)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_used_within(make_recipe: MakeRecipe, precision: str) -> None:
    network = build(make_recipe().model.config())
    seen = []
    network.groups.register_forward_hook(lambda *out: seen.append(out[2].dtype))
    fabric_of(make_recipe, precision).setup(network)(torch.rand(1, 3, 16, 16))
    assert seen == [getattr(torch, precision)]


def test_float16_scales_gradients_and_goes_on_with_the_scale(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe(precision="float16", optim=OptimRecipe(ema=0.9), checkpoint_every=4)
    train(recipe, tmp_path / "half")
    train(make_recipe(optim=OptimRecipe(ema=0.9)), tmp_path / "full")
    half, full = (
        [line["loss"] for line in log_of(tmp_path / name) if "skipped" not in line]
        for name in ("half", "full")
    )
    assert len(half) >= len(full) - 6
    assert half[-1] == pytest.approx(full[-1], rel=0.1)
    norms = [line["gradient_norm"] for line in log_of(tmp_path / "half") if "skipped" not in line]
    # A norm that was not unscaled would be thousands of times as large.
    assert max(norms) < 3 * max(line["gradient_norm"] for line in log_of(tmp_path / "full"))


def test_a_float16_run_that_was_stopped_ends_as_if_it_had_not_been(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = make_recipe(precision="float16", checkpoint_every=3)
    whole = load_file(train(recipe, tmp_path / "whole"))

    def stopping(*arguments: Any) -> tuple[float, float | None]:
        if arguments[-1] == 7:
            raise KeyboardInterrupt
        return take_step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("mirnet.training.run.take_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / "stopped")
    again = load_file(train(recipe, tmp_path / "stopped"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)


def test_a_scale_that_finds_no_bottom_ends_the_run(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mirnet.training.step.objective", lambda _, output, __: output.sum() * torch.nan
    )
    schedule = make_recipe().schedule
    stages = (replace(schedule.stages[0], steps=40),)
    recipe = make_recipe(precision="float16", schedule=replace(schedule, stages=stages))
    with pytest.raises(NonFiniteError, match="24 steps in a row gave no finite gradient"):
        train(recipe, tmp_path)
    assert not list(tmp_path.glob("skipped-step-*"))


def test_computing_features_again_changes_no_gradient(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe()
    torch.manual_seed(0)
    plain = build(recipe.model.config())
    frugal = build(recipe.model.config())
    frugal.load_state_dict(plain.state_dict())
    kept: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[-1] += tensor.nbytes
        return tensor

    picture = torch.rand(1, 3, 32, 32)
    for network in (plain, compiled(frugal, replace(recipe, recompute=True))):
        kept.append(0)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = network(picture).square().mean()
        loss.backward()
    assert kept[1] < kept[0] / 4
    for one, other in zip(plain.parameters(), frugal.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.equal(one.grad, other.grad)


def test_compiling_is_asked_of_torch(
    make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[MIRNetV2] = []

    def note(model: MIRNetV2) -> MIRNetV2:
        asked.append(model)
        return model

    monkeypatch.setattr(torch, "compile", note)
    network = build(make_recipe().model.config())
    assert compiled(network, make_recipe()) is network
    assert asked == []
    compiled(network, make_recipe(compile=True))
    assert asked == [network]


@pytest.mark.parametrize(
    ("devices", "nodes", "local", "world", "expected"),
    [(1, 1, 2, 4, (2, 2)), (2, 2, 2, 4, (2, 2)), (1, 1, 1, 1, (1, 1))],
)
def test_torchrun_says_how_many_processes_there_are(
    devices: int, nodes: int, local: int, world: int, expected: tuple[int, int],
    make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SLURM_NTASKS", "4")
    recipe = make_recipe(devices=devices, nodes=nodes)
    assert processes(recipe) == (devices, nodes)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(local))
    monkeypatch.setenv("WORLD_SIZE", str(world))
    assert processes(recipe) == expected
    with pytest.raises(RecipeError, match="asks for 3 on 1 machines, torchrun has started"):
        processes(make_recipe(devices=3))


def test_machines_are_started_by_torchrun(
    make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RecipeError, match="nodes: 2 machines are started by torchrun"):
        processes(make_recipe(nodes=2))


def test_more_devices_than_there_are_is_one_line(
    make_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DeviceError, match="devices: 8 were asked for, and there are 2 cuda"):
        make_fabric(make_recipe(devices=8), torch.device("cuda"))


def test_a_device_without_memory_is_one_line(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("mirnet.training.step.objective", full)
    with pytest.raises(InsufficientMemoryError, match=r"step 0: 4 patches of 16 .* --plan` says"):
        train(make_recipe(), tmp_path)
