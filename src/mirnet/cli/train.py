"""``mirnet train``: a recipe in, weights out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def train(
    recipe: Path,
    *overrides: Annotated[str, Parameter(allow_leading_hyphen=True)],
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
) -> None:
    """Train a network by a recipe, or go on with a run that was stopped.

    Parameters
    ----------
    recipe
        A TOML file. A folder that was trained into before is gone on with.
    overrides
        Keys of the recipe with other values, such as --optim.loss l1 --schedule.lr 1e-4.
    output
        The folder of the run; by default runs/ and the recipe's name.
    """
    from mirnet.errors import MissingDependencyError

    try:
        import lightning_fabric  # noqa: F401
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f'training needs {error.name}, which is not installed; pip install "mirnet[train]"'
        ) from error
    from mirnet.tasks.start import with_task
    from mirnet.training.loop import train as run
    from mirnet.training.recipe import read_recipe

    folder = output or Path("runs") / recipe.stem
    print(run(with_task(read_recipe(recipe, list(overrides))), folder))
