"""``mirnet train``: a recipe, or a task and its data, in; weights out."""

from __future__ import annotations

import os
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
    data: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    dataset: DataSetName | None = None,
    kind: Annotated[RecipeName | None, Parameter(name="--recipe")] = None,
    start_from: str | None = None,
    plan: Annotated[bool, Parameter(negative=())] = False,
    memory: float | None = None,
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
    plan
        Don't train: say how each stage fits into memory, how many samples the run sees, and how
        long it takes on this machine's device.
    memory
        With --plan: the memory of each device in GB; this machine's, unless told. Give --devices
        too, and a plan is made for machines elsewhere.
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
        if data or dataset or start_from or kind:
            raise RecipeError(
                "train: --data, --dataset, --recipe and --start-from go with --task; a recipe "
                "file says them itself"
            )
        path = Path(arguments[0])
        name, recipe = path.stem, read_recipe(path, arguments[1:])
    else:
        if arguments and not arguments[0].startswith("-"):
            raise RecipeError(f"train: {arguments[0]}: give a recipe file or --task, not both")
        kind = kind or "paper"
        recipe = recipe_for(task, data, dataset=dataset, kind=kind, start_from=start_from)
        name, recipe = f"{task}-{kind}", changed(recipe, arguments)
    recipe = with_task(recipe)
    if memory is not None and not (plan and memory > 0):
        raise RecipeError("--memory: goes with --plan, and is a number of GB above 0")
    if plan:
        _show_plan(recipe, memory)
        return
    weights = run(recipe, output or Path("runs") / name)
    if os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0":  # of several processes
        print(weights)


def _show_plan(recipe: Recipe, memory: float | None) -> None:
    """Print what the run takes on devices of ``memory`` GB, or on this machine's."""
    from mirnet.inference.devices import choose_device
    from mirnet.inference.memory import available_memory
    from mirnet.progress import bar
    from mirnet.training.budget import fit, measured
    from mirnet.training.precision import resolved

    device = choose_device(recipe.device)
    elsewhere = memory is not None
    room = int(memory * 1e9) if memory is not None else available_memory(device)
    recipe = recipe if elsewhere else resolved(recipe, device)
    fitting = fit(recipe, room, device="cuda" if elsewhere else device.type)
    if not elsewhere:
        with bar("timing a step of each stage") as show:
            fitting = measured(fitting, device, show)
    processes = recipe.devices * recipe.nodes
    print(f"{processes} × {room / 1e9:.1f} GB, {recipe.precision} arithmetic")
    print("patch  batch  at once  parts    steps     samples   memory   hours")
    for each in fitting.stages:
        hours = "       " if each.hours is None else f"{each.hours:7.1f}"
        print(
            f"{each.stage.patch_size:5}{each.stage.batch_size:7}{each.at_once:9}{each.parts:7}"
            f"{each.stage.steps:9,}{each.samples:12,}{each.memory / 1e9:6.1f} GB {hours}"
        )
    times = [each.hours for each in fitting.stages if each.hours is not None]
    print(f"{fitting.samples:,} samples" + (f", {sum(times):.1f} hours" if times else ""))
    if elsewhere:
        print("hours are measured on the machine that trains: give --plan there, without --memory")
    options = f"--optim.pixels-at-once {fitting.recipe.optim.pixels_at_once}"
    if fitting.recipe.recompute:
        options += " --recompute"
    print(f"train with {options}")
