"""Which weights stand for a task, and whether weights are for it."""

from __future__ import annotations

from pathlib import Path

from mirnet.checkpoints.catalog import CATALOG, resolve
from mirnet.checkpoints.hub_address import is_address
from mirnet.checkpoints.load import load_checkpoint
from mirnet.checkpoints.store import Checkpoint, require_readable
from mirnet.choices import TaskName
from mirnet.environment import file_sha256
from mirnet.errors import MirnetError
from mirnet.tasks.registry import TASKS


def weights_for(task: TaskName | None, weights: str | None) -> str:
    """The weights that were asked for, or the task's own; denoising's if nothing was asked for.

    Those on a hub are fetched here, and their file is named from then on, so that all that follows
    is about the same ones. Raises MirnetError if they can't be.
    """
    if weights is not None and is_address(weights):
        return str(resolve(weights))
    return weights or TASKS[task or "denoising"].weights


def views_of(task: TaskName | None, weights: str) -> int:
    """How many pictures go in together: 2 for the two views of a dual-pixel photo.

    Raises CheckpointError if the weights can't be used.
    """
    known = CATALOG[weights].task if weights in CATALOG else task
    if known is not None:
        return TASKS[known].views
    return load_checkpoint(resolve(weights)).config.in_channels // 3


def digest_of(weights: str) -> str:
    """What the file that ``weights`` names is known by: the SHA-256 of all it holds.

    Raises CheckpointError if it can't be read.
    """
    path = resolve(weights)
    require_readable(path)
    return file_sha256(path)


def checkpoint_for(task: TaskName | None, weights: str) -> tuple[Path, Checkpoint]:
    """The file that ``weights`` names, and what it holds.

    Raises MirnetError if it is for another task than ``task``; CheckpointError if it can't be used.
    """
    path = resolve(weights)
    checkpoint = load_checkpoint(path)
    if task and checkpoint.task and task != checkpoint.task:
        raise MirnetError(
            f"--task {task}: {path} is for {checkpoint.task}; leave --task out, or give weights "
            f"for {task}"
        )
    return path, checkpoint


def checkpoint_for_photos(
    task: TaskName | None, weights: str, *, enlarges: bool
) -> tuple[Path, Checkpoint]:
    """As ``checkpoint_for``, for photos, which it may have to enlarge.

    Raises MirnetError if these weights are not for that.
    """
    path, checkpoint = checkpoint_for(task, weights)
    if checkpoint.config.in_channels not in (3, 6):
        raise MirnetError(
            f"{path}: takes {checkpoint.config.in_channels} channels, and photos have 3, or 6 in "
            "two views; give other --weights"
        )
    if enlarges and checkpoint.task not in (None, "super-resolution"):
        raise MirnetError(
            f"--enlarge: {path} is for {checkpoint.task}; give --task super-resolution"
        )
    return path, checkpoint
