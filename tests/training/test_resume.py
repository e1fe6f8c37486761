"""A run that is killed and resumed ends as the uninterrupted one, bit by bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mirnet.checkpoints.store import read_checkpoint
from mirnet.training.log import RunLog
from mirnet.training.loop import train
from mirnet.training.recipe import Stage, ValidationRecipe
from mirnet.training.state import TrainingState, _begun
from mirnet.training.team import Team
from mirnet.training.validation import Validation
from tests.training.conftest import MakeRecipe

RECIPE = """
seed = 11
device = "cpu"
log_every = 1
checkpoint_every = 15

[model]
preset = "small"
changes = {{ width = 8, groups = [1] }}

[[data.sources]]
path = "{pairs}"

[[data.sources]]
path = "{pairs}"
degradation = "camera-noise"

[optim]
ema = 0.9

[schedule]
lr = 1e-3
stages = [
    {{ steps = 33, patch_size = 16, batch_size = 2 }},
    {{ steps = 27, patch_size = 24, batch_size = 1 }},
]

[validation]
folders = ["{others}"]
every = 24
"""

KILLED_AT = 36
"""Neither a step whose state is saved nor one that is validated; a new stage began at 33."""

PROGRAM = """
import os, signal, sys
from mirnet.cli.app import main
from mirnet.training import run

step = run.take_step

def counted(*arguments):
    if arguments[-1] == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

run.take_step = counted
sys.exit(main(sys.argv[2:]))
"""


def run(recipe: Path, folder: Path, *, killed_at: int) -> int:
    arguments = [str(killed_at), "train", str(recipe), "--output", str(folder)]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
    ).returncode


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_and_resumed_is_the_uninterrupted_run(
    real_pairs: Path, other_pairs: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        RECIPE.format(pairs=real_pairs.as_posix(), others=other_pairs.as_posix()), "utf-8"
    )
    whole, broken = tmp_path / "whole", tmp_path / "broken"

    assert run(recipe, whole, killed_at=-1) == 0
    assert run(recipe, broken, killed_at=KILLED_AT) == -signal.SIGKILL
    assert steps_logged(broken)[-1] == KILLED_AT
    assert run(recipe, broken, killed_at=-1) == 0

    for name in ("model", "best", "state"):
        one, two = (load_file(folder / f"{name}.safetensors") for folder in (whole, broken))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one), name
    assert file_bytes(whole) == file_bytes(broken)
    assert steps_logged(broken) == steps_logged(whole) == list(range(1, 61))
    assert losses(broken) == losses(whole)


def file_bytes(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def log(folder: Path) -> list[dict[str, float]]:
    lines = (folder / "log.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == "train"]


def steps_logged(folder: Path) -> list[float]:
    return [line["step"] for line in log(folder)]


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in log(folder)]


@pytest.mark.parametrize("every", [2, 1000])
def test_a_run_that_was_killed_in_its_last_validation_ends_it(
    make_recipe: MakeRecipe,
    other_pairs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    every: int,
) -> None:
    recipe = make_recipe(validation=ValidationRecipe(folders=(other_pairs,), every=every))
    whole = load_file(train(recipe, tmp_path / "whole"))
    run = Validation.run

    def killed(self: Validation, state: TrainingState, log: RunLog, team: Team) -> None:
        if state.step == 10:
            raise KeyboardInterrupt
        run(self, state, log, team)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Validation, "run", killed)
        train(recipe, tmp_path / "killed")
    ended = train(recipe, tmp_path / "killed")
    assert read_checkpoint(ended).provenance["step"] == 10
    assert all(torch.equal(value, whole[name]) for name, value in load_file(ended).items())
    before = ended.stat().st_mtime_ns
    assert train(recipe, tmp_path / "killed").stat().st_mtime_ns == before


def test_a_signal_between_a_step_and_its_end_loses_nothing(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RunLog.write

    def interrupted(self: RunLog, kind: str, step: int, numbers: Any) -> None:
        write(self, kind, step, numbers)
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(RunLog, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(make_recipe(), tmp_path / "run")
    monkeypatch.undo()
    assert (tmp_path / "run" / "state.safetensors").exists()
    resumed = load_file(train(make_recipe(), tmp_path / "run"))
    whole = load_file(train(make_recipe(), tmp_path / "whole"))
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())


def test_stages_that_a_run_has_begun_are_compared_by_what_their_steps_were() -> None:
    def begun(*stages: tuple[int, int], step: int) -> list[tuple[int, int]]:
        made = [Stage(steps=steps, patch_size=size) for steps, size in stages]
        return [(start, stage.patch_size) for start, stage in _begun(made, step).items()]

    whole = begun((300_000, 128), step=250_000)
    assert whole == begun((100, 128), (400_000, 128), step=250_000) == [(0, 128)]
    assert begun((10, 128), (10, 144), step=11) == [(0, 128), (10, 144)]
    assert begun((10, 128), (10, 144), step=10) == [(0, 128)]
    assert begun((10, 128), (5, 144), (5, 128), step=20) == [(0, 128), (10, 144), (15, 128)]
