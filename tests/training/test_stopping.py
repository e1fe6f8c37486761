"""A run that is asked to stop does so after its step, and goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from mirnet.errors import RecipeError
from mirnet.training.loop import train
from tests.training.conftest import MakeRecipe

RECIPE = """
seed = 1
device = "cpu"
precision = "float32"
log_every = 1000
checkpoint_every = 100000
model.preset = "small"
model.changes = {{ width = 8, groups = [1] }}
schedule.stages = [{{ steps = 400000, patch_size = 16, batch_size = 1 }}]

[[data.sources]]
path = "{pairs}"
"""


@pytest.mark.parametrize(
    ("number", "status", "word", "workers"),
    [(signal.SIGINT, 130, "interrupted", 0), (signal.SIGTERM, 143, "terminated", 1)],
)
def test_a_signal_saves_the_state_and_says_so(
    real_pairs: Path, tmp_path: Path, number: int, status: int, word: str, workers: int
) -> None:
    """A terminal and a scheduler send it to the workers too."""
    recipe, folder = tmp_path / "recipe.toml", tmp_path / "run"
    recipe.write_text(RECIPE.format(pairs=real_pairs.as_posix()), "utf-8")
    command = [sys.executable, "-m", "mirnet.cli.app", "train", str(recipe), "-o", str(folder)]
    command += ["--data.workers", str(workers)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    deadline = time.monotonic() + 120
    board = folder / "tensorboard"
    while not board.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1 + 4 * workers)
    os.killpg(process.pid, number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert f"mirnet: {word}; run the same command again to go on" in error
    assert "Traceback" not in error
    assert (folder / "state.safetensors").exists()
    line = json.loads((folder / "log.jsonl").read_text("utf-8").splitlines()[-1])
    assert 0 < line["step"] < 400000
    assert line["loss"] > 0


def test_two_runs_don_t_share_a_folder(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"), pytest.raises(RecipeError, match="another run trains into"):
        train(make_recipe(), tmp_path)
    assert not (tmp_path / "log.jsonl").exists()
    train(make_recipe(), tmp_path)
