from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mirnet.errors import CheckpointError, RecipeError
from mirnet.training.recipe import DataRecipe, OptimRecipe, Stage
from mirnet.training.state import TrainingState, start_or_resume
from tests.training.conftest import MakeRecipe

CPU, SECOND = torch.device("cpu"), torch.device("meta")
"""The meta device refuses to mix with the CPU, as a GPU does, and every machine has it."""


def stepped(state: TrainingState) -> TrainingState:
    """A state with moments, as after a step."""
    for parameter in state.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    state.optimizer.step()
    state.step = 4
    return state


def test_a_state_that_must_not_be_read_is_not_called_damaged(
    make_recipe: MakeRecipe, tmp_path: Path, forbid: Callable[[Path], None]
) -> None:
    recipe, path = make_recipe(), tmp_path / "state.safetensors"
    stepped(start_or_resume(recipe, tmp_path, CPU, "data")).save(path, recipe)
    forbid(path)
    with pytest.raises(CheckpointError, match=r"state\.safetensors: can't be read \(Permission"):
        start_or_resume(recipe, tmp_path, CPU, "data")


@pytest.mark.filterwarnings("ignore:for .* copying from a non-meta parameter")
def test_a_second_device_holds_everything(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe(optim=OptimRecipe(ema=0.9))
    stepped(start_or_resume(recipe, tmp_path, CPU, "data")).save(
        tmp_path / "state.safetensors", recipe
    )
    state = start_or_resume(recipe, tmp_path, SECOND, "data")
    assert state.step == 4
    parameters = list(state.model.parameters())
    assert {parameter.device for parameter in parameters} == {SECOND}
    moments = [
        state.optimizer.state[each][m] for each in parameters for m in ("exp_avg", "exp_avg_sq")
    ]
    assert {moment.device for moment in moments} == {SECOND}
    stepped(state)  # mixes weights and moments
    state.update_average(0.9)  # mixes weights and average
    assert state.average is not None
    assert {value.device for value in state.average.values()} == {SECOND}


@pytest.mark.parametrize(
    "changes",
    [
        {"checkpoint_every": 7, "log_every": 3, "device": "auto", "precision": "auto"},
        {"data.workers": 2},
        {"data.cache": Path("elsewhere")},
        {"spelling": True},
        {"more steps": True},
    ],
    ids=str,
)
def test_how_a_run_is_done_and_reported_may_change(
    make_recipe: MakeRecipe, tmp_path: Path, changes: dict[str, object]
) -> None:
    recipe = make_recipe()
    stepped(start_or_resume(recipe, tmp_path, CPU, "x")).save(
        tmp_path / "state.safetensors", recipe
    )
    data, schedule = recipe.data, recipe.schedule
    if "data.workers" in changes:
        recipe = replace(recipe, data=replace(data, workers=2))
    elif "data.cache" in changes:
        recipe = replace(recipe, data=replace(data, cache=Path("elsewhere")))
    elif "spelling" in changes:
        path = data.sources[0].path / ".." / data.sources[0].path.name
        sources = (replace(data.sources[0], path=path), data.sources[1])
        recipe = replace(recipe, data=DataRecipe(sources=sources))
    elif "more steps" in changes:
        stages = (*schedule.stages, Stage(steps=5, patch_size=32, batch_size=1))
        recipe = replace(recipe, schedule=replace(schedule, stages=stages))
    else:
        recipe = replace(recipe, **changes)  # type: ignore[arg-type]
    assert start_or_resume(recipe, tmp_path, CPU, "x").step == 4


def test_what_decides_the_outcome_may_not_and_its_key_is_named(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = make_recipe()
    stepped(start_or_resume(recipe, tmp_path, CPU, "x")).save(
        tmp_path / "state.safetensors", recipe
    )
    other_rate = replace(recipe, schedule=replace(recipe.schedule, lr=1e-3))
    with pytest.raises(RecipeError, match=r"\(schedule\.lr was 0\.002, is 0\.001\)"):
        start_or_resume(other_rate, tmp_path, CPU, "x")
    sources = (recipe.data.sources[0], replace(recipe.data.sources[1], weight=3))
    other_weight = replace(recipe, data=DataRecipe(sources=sources))
    with pytest.raises(RecipeError, match=r"\(data\.sources\.1\.weight was 2, is 3\)"):
        start_or_resume(other_weight, tmp_path, CPU, "x")
    stages = (Stage(steps=3, patch_size=16, batch_size=4), *recipe.schedule.stages[1:])
    shorter = replace(recipe, schedule=replace(recipe.schedule, stages=stages))
    with pytest.raises(RecipeError, match=r"done 4 steps, and schedule\.stages differ in step 3"):
        start_or_resume(shorter, tmp_path, CPU, "x")
    with pytest.raises(RecipeError, match=r"pictures of data\.sources have changed"):
        start_or_resume(recipe, tmp_path, CPU, "y")


def test_a_full_disk_is_one_line_and_leaves_the_last_state(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, path = make_recipe(), tmp_path / "state.safetensors"
    state = stepped(start_or_resume(recipe, tmp_path, CPU, "x"))
    state.save(path, recipe)
    before = path.read_bytes()

    def full(_: object, temporary: Path, __: object) -> None:
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mirnet.training.state.save_file", full)
    with pytest.raises(CheckpointError, match=r"can't be written \(No space left on device\)"):
        state.save(path, recipe)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_the_average_forgets_where_it_began(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    state = start_or_resume(make_recipe(optim=OptimRecipe(ema=0.999)), tmp_path, CPU, "x")
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.zero_()
    for state.step in range(20):
        state.update_average(0.999)
    assert state.average is not None
    assert max(float(value.abs().max()) for value in state.average.values()) < 1e-6
