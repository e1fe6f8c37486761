"""A run that is killed and resumed ends as the uninterrupted one, bit by bit."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

RECIPE = """
seed = 11
device = "cpu"
log_every = 1
checkpoint_every = 50

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
    {{ steps = 110, patch_size = 16, batch_size = 2 }},
    {{ steps = 90, patch_size = 24, batch_size = 1 }},
]

[validation]
folders = ["{others}"]
every = 80
"""

KILLED_AT = 120
"""Neither a step whose state is saved nor one that is validated; a new stage began at 110."""

PROGRAM = """
import os, signal, sys
from mirnet.cli.app import main
from mirnet.training import loop

step = loop.take_step

def counted(*arguments):
    if arguments[-1] == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*arguments)

loop.take_step = counted
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
    assert steps_logged(broken) == steps_logged(whole) == list(range(1, 201))
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
