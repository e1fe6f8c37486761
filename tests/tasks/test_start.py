from dataclasses import replace
from pathlib import Path

import pytest

from mirnet.errors import RecipeError
from mirnet.tasks.registry import TASKS
from mirnet.tasks.start import with_task
from mirnet.training.recipe import DataRecipe, ModelRecipe, Recipe, SourceRecipe

RECIPE = Recipe(data=DataRecipe(sources=(SourceRecipe(path=Path("x")),)))


@pytest.mark.parametrize("name", TASKS)
def test_a_recipe_takes_channels_and_residual_from_its_task(name: str) -> None:
    task = TASKS[name]
    config = with_task(replace(RECIPE, task=task.name)).model.config()
    assert config == task.config
    assert config.in_channels == 3 * task.views


def test_what_the_recipe_says_counts_unless_the_views_don_t_fit() -> None:
    features = replace(RECIPE, model=ModelRecipe(changes={"residual": "features"}))
    assert with_task(features).model.config().residual == "features"
    six = ModelRecipe(changes={"in_channels": 6, "residual": "features"})
    with pytest.raises(RecipeError, match=r"in_channels: denoising takes 1 pictures of 3 channels"):
        with_task(replace(RECIPE, model=six))
