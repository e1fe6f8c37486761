"""``mirnet train``: a recipe, or a task and its data, in; weights out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mirnet.choices import DataSetName, RecipeName, TaskName
from mirnet.errors import RecipeError

if TYPE_CHECKING:
    from mirnet.training.recipe import Recipe


def train(
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True)],
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    task: TaskName | None = None,
    data: tuple[Path, ...] = (),
    dataset: DataSetName | None = None,
    kind: Annotated[RecipeName, Parameter(name="--recipe")] = "paper",
    start_from: str | None = None,
) -> None:
    """Train a network by a recipe or the paper's, or go on with a run that was stopped.

    Either `mirnet train RECIPE.toml`, or `mirnet train --task low-light --data LOL`. Keys of the
    recipe can follow with other values: `--optim.loss l1 --schedule.lr 1e-4`.

    Parameters
    ----------
    arguments
        A TOML file, and keys of the recipe with other values.
    output
        The folder of the run; by default runs/ and the name of the recipe or task. A folder that
        was trained into before is gone on with.
    task
        What to train for, without a recipe file: the paper's run.
    data
        A folder of the task's data set as published, of pairs, or made by `mirnet prepare`; give
        it again for more.
    dataset
        How the files in the folders lie; found out unless told.
    kind
        With a task: the paper's recipe, or what its released weights were made with.
    start_from
        With a task: weights to go on from, instead of random ones.
    """
    from mirnet.errors import MissingDependencyError

    try:
        import lightning_fabric  # noqa: F401
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f'training needs {error.name}, which is not installed; pip install "mirnet[train]"'
        ) from error
    from mirnet.tasks.recipes import recipe_for
    from mirnet.tasks.start import with_task
    from mirnet.training.loop import train as run
    from mirnet.training.reading import changed, read_recipe

    recipe: Recipe
    if task is None:
        if not arguments or arguments[0].startswith("-"):
            raise RecipeError("train: name a recipe file, or a --task and its --data")
        if data or dataset or start_from:
            raise RecipeError(
                "train: --data, --dataset and --start-from go with --task; a recipe "
                "file says them itself"
            )
        path = Path(arguments[0])
        name, recipe = path.stem, read_recipe(path, arguments[1:])
    else:
        if arguments and not arguments[0].startswith("-"):
            raise RecipeError(f"train: {arguments[0]}: give a recipe file or --task, not both")
        recipe = recipe_for(task, data, dataset=dataset, kind=kind, start_from=start_from)
        name, recipe = f"{task}-{kind}", changed(recipe, arguments)
    print(run(with_task(recipe), output or Path("runs") / name))
