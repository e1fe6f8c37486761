"""What a run takes, before it is started."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mirnet.errors import RecipeError
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.tasks.recipes import recipe_for
from mirnet.training.budget import COUNTED, bytes_kept, fit, measured, memory_model
from mirnet.training.recipe import OptimRecipe
from mirnet.training.schedule import total_steps
from tests.conftest import TINY
from tests.training.conftest import MakeRecipe

GB = 10**9
PAPER = recipe_for("denoising", (Path("data"),), dataset="sidd")


def really_kept(config: MIRNetV2Config, dtype: torch.dtype, size: int) -> int:
    """The same, of real tensors."""
    model = MIRNetV2(config)
    own = {parameter.data_ptr() for parameter in model.parameters()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype, enabled=dtype != torch.float32),
    ):
        output = model(torch.rand(1, config.in_channels, size, size))
    assert output.requires_grad
    return sum(each.nbytes() for pointer, each in kept.items() if pointer not in own)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_counted_is_what_is_kept(dtype: torch.dtype) -> None:
    counted = bytes_kept(TINY, dtype, recompute=False)
    assert counted == pytest.approx(really_kept(TINY, dtype, COUNTED), rel=0.02)
    larger = really_kept(TINY, dtype, 2 * COUNTED)
    assert 4 * counted == pytest.approx(larger, rel=0.05)


def test_half_precision_and_computing_again_take_less() -> None:
    config = MIRNetV2Config(width=16)
    full = bytes_kept(config, torch.float32, recompute=False)
    assert 0.45 < bytes_kept(config, torch.bfloat16, recompute=False) / full < 0.75
    assert bytes_kept(config, torch.float32, recompute=True) < 0.4 * full


@pytest.mark.parametrize(
    ("devices", "memory"), [(1, 8 * GB), (1, 24 * GB), (8, 80 * GB), (4, 80 * GB)]
)
def test_any_machine_sees_the_paper_s_samples(devices: int, memory: int) -> None:
    budget = fit(replace(PAPER, devices=devices, precision="bfloat16"), memory, device="cuda")
    assert budget.samples == 300_000 * 64
    assert [plan.stage for plan in budget.stages] == list(PAPER.schedule.stages)
    for plan in budget.stages:
        assert plan.at_once * plan.parts * devices == plan.stage.batch_size
        assert plan.memory <= memory
    assert budget.recipe.schedule == PAPER.schedule
    assert total_steps(budget.recipe.schedule) == 300_000


def test_little_memory_means_more_parts_and_less_still_computing_again() -> None:
    large = fit(PAPER, 80 * GB, device="cuda")
    small = fit(PAPER, 12 * GB, device="cuda")
    assert [plan.parts for plan in small.stages] > [plan.parts for plan in large.stages]
    assert not large.recipe.recompute
    fixed, per_pixel = memory_model(PAPER, "cuda")
    just_short = int(fixed + per_pixel * 224**2) - 10**6
    frugal = fit(PAPER, just_short, device="cuda")
    assert frugal.recipe.recompute
    assert frugal.samples == large.samples
    assert not fit(PAPER, just_short + 2 * 10**6, device="cuda").recipe.recompute


def test_too_little_memory_is_said_with_what_is_needed() -> None:
    with pytest.raises(
        RecipeError, match=r"one patch of 50176 pixels takes .* GB, and there are 1"
    ):
        fit(PAPER, GB, device="cuda")


def test_processes_that_can_t_share_a_batch_are_refused() -> None:
    with pytest.raises(RecipeError, match="64 can't be shared equally among 7 processes"):
        fit(replace(PAPER, devices=7), 80 * GB, device="cuda")


def test_steps_are_timed(make_recipe: MakeRecipe) -> None:
    recipe = make_recipe(optim=OptimRecipe())
    budget = fit(recipe, 2 * GB, device="cpu")
    assert all(plan.hours is None for plan in budget.stages)
    seen: list[tuple[int, int]] = []
    timed = measured(budget, torch.device("cpu"), lambda done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)]
    for plan in timed.stages:
        assert plan.seconds is not None
        assert plan.hours == pytest.approx(plan.seconds * plan.stage.steps / 3600)
