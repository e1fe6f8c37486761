"""Where a training run of a task starts from."""

from __future__ import annotations

from dataclasses import replace

from mirnet.errors import RecipeError
from mirnet.models.config import Residual
from mirnet.tasks.registry import TASKS
from mirnet.training.recipe import ModelChanges, Recipe


def with_task(recipe: Recipe) -> Recipe:
    """The recipe with its task's channels and residual, where it does not say otherwise.

    Raises RecipeError if it says otherwise in a way that the task's views don't fit.
    """
    task = TASKS[recipe.task]
    residual: Residual = task.config.residual
    changes = ModelChanges(in_channels=task.config.in_channels, residual=residual)
    changes.update(recipe.model.changes)
    channels = changes["in_channels"]
    if channels != 3 * task.views:
        raise RecipeError(
            f"model.changes.in_channels: {recipe.task} takes {task.views} pictures of 3 channels, "
            f"not {channels} channels; leave it out, or name another task"
        )
    return replace(recipe, model=replace(recipe.model, changes=changes))
