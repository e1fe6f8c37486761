"""Several processes train as one: over gloo, on this machine, by our launcher and by torchrun."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mirnet.errors import RecipeError
from mirnet.training.batches import open_data
from tests.training.conftest import MakeRecipe

RECIPE = """
seed = 1
device = "cpu"
precision = "float32"
log_every = 1
checkpoint_every = 7
model.preset = "small"
model.changes = {{ width = 8, groups = [1], blocks = 1 }}
optim.ema = 0.9
schedule.lr = 1e-3
schedule.stages = [{{ steps = {steps}, patch_size = 16, batch_size = 4 }}]
validation.folders = ["{others}"]

[[data.sources]]
path = "{pairs}"
"""

STEPS = 20

PROGRAM = """
import os, signal, sys
from mirnet.cli.app import main
from mirnet.training import run

step, (rank, at) = run.take_step, map(int, sys.argv[1].split(","))

def counted(fabric, *arguments):
    if (fabric.global_rank, arguments[-1]) == (rank, at):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(fabric, *arguments)

run.take_step = counted
sys.exit(main(sys.argv[2:]))
"""

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory, real_pairs: Path, other_pairs: Path) -> Path:
    return recipe_in(tmp_path_factory.mktemp("recipe"), real_pairs, other_pairs, STEPS)


def recipe_in(folder: Path, pairs: Path, others: Path, steps: int) -> Path:
    path = folder / "recipe.toml"
    text = RECIPE.format(pairs=pairs.as_posix(), others=others.as_posix(), steps=steps)
    path.write_text(text, "utf-8")
    return path


@pytest.fixture(scope="session")
def by_two(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two processes that nothing happens to."""
    folder = tmp_path_factory.mktemp("two")
    done = finished(mirnet(recipe, folder, "--devices", "2"))
    assert done.returncode == 0, done.stderr
    return folder


def mirnet(recipe: Path, folder: Path, *options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "mirnet.cli.app",
        "train",
        str(recipe),
        "-o",
        str(folder),
        *options,
    ]


def killed(recipe: Path, folder: Path, rank: int, step: int, tmp_path: Path) -> list[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    arguments = ["train", str(recipe), "-o", str(folder), "--devices", "2"]
    return [sys.executable, str(program), f"{rank},{step}", *arguments]


def finished(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=240
    )


def log_of(folder: Path, kind: str = "train") -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    return [line for line in lines if line["kind"] == kind]


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "state.safetensors")


def bit_for_bit(one: Path, other: Path) -> bool:
    first, second = weights_of(one), weights_of(other)
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_two_processes_do_what_one_does_in_two_parts(
    recipe: Path, by_two: Path, tmp_path: Path
) -> None:
    done = finished(mirnet(recipe, tmp_path, "--optim.pixels-at-once", "512"))
    assert done.returncode == 0, done.stderr
    one, two = weights_of(tmp_path), weights_of(by_two)
    assert one.keys() == two.keys()
    for name in one:
        if name.startswith(("model.", "average.")):
            torch.testing.assert_close(two[name], one[name], rtol=0, atol=1e-6)
    # Adam's step hides the scale of a gradient; its norm does not.
    for single, double in zip(log_of(tmp_path), log_of(by_two), strict=True):
        assert double["gradient_norm"] == pytest.approx(single["gradient_norm"], rel=1e-4)
        assert double["loss"] == pytest.approx(single["loss"], rel=1e-5)
    (single,), (double,) = (log_of(folder, "validation") for folder in (tmp_path, by_two))
    assert double["psnr"] == pytest.approx(single["psnr"], abs=1e-3)
    assert double["ssim"] == pytest.approx(single["ssim"], abs=1e-5)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_run_of_two_that_was_killed_ends_as_if_nothing_had_happened(
    rank: int, recipe: Path, by_two: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = finished(killed(recipe, folder, rank, 12, tmp_path))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr, done.stderr
    assert log_of(folder)[-1]["step"] < STEPS
    done = finished(mirnet(recipe, folder, "--devices", "2"))
    assert done.returncode == 0, done.stderr
    assert bit_for_bit(folder, by_two)


def test_two_machines_do_what_one_does(recipe: Path, by_two: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    commands = [
        [
            sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
            "--node-rank", str(node), "--master-addr", "127.0.0.1", "--master-port", str(port),
            "-m", "mirnet.cli.app", "train", str(recipe), "-o", str(tmp_path / "run"),
        ]
        for node in range(2)
    ]  # fmt: skip
    processes = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for command in commands
    ]
    errors = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert bit_for_bit(tmp_path / "run", by_two)


def test_a_signal_stops_all_after_the_same_step(
    real_pairs: Path, other_pairs: Path, tmp_path: Path
) -> None:
    recipe = recipe_in(tmp_path, real_pairs, other_pairs, 400_000)
    command = mirnet(recipe, tmp_path, "--devices", "2", "--checkpoint-every", "100000")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    deadline = time.monotonic() + 120
    while not (tmp_path / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM, error
    assert "terminated; run the same command again to go on" in error
    assert "Traceback" not in error
    assert (tmp_path / "state.safetensors").exists()


def test_a_batch_that_can_t_be_shared_is_refused(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="2 can't be shared equally among 4 processes"):
        open_data(make_recipe(), tmp_path, processes=4)
