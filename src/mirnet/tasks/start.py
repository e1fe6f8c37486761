"""Where a training run of a task starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from mirnet.checkpoints.catalog import resolve
from mirnet.checkpoints.load import load_checkpoint
from mirnet.errors import RecipeError
from mirnet.models.networks import config_to_dict
from mirnet.tasks.registry import TASKS
from mirnet.training.recipe import ModelChanges, Recipe


def with_task(recipe: Recipe) -> Recipe:
    """The recipe with its task's channels and residual, where it does not say otherwise.

    Without a preset, the rest of the network is that of the weights it starts from.

    Raises:
        RecipeError: it says otherwise in a way that the task's views don't fit.
        CheckpointError: the weights to start from can't be used.
    """
    task = TASKS[recipe.task]
    changes = ModelChanges()
    if recipe.model.start_from is not None and recipe.model.preset is None:
        started = load_checkpoint(resolve(Path(recipe.model.start_from).expanduser()))
        changes.update(cast(ModelChanges, config_to_dict(started.config)))
    changes["in_channels"], changes["residual"] = task.config.in_channels, task.config.residual
    changes.update(recipe.model.changes)
    channels = changes["in_channels"]
    if channels != 3 * task.views:
        raise RecipeError(
            f"model.changes.in_channels: {recipe.task} takes {task.views} pictures of 3 channels, "
            f"not {channels} channels; leave it out, or name another task"
        )
    return replace(recipe, model=replace(recipe.model, changes=changes))
