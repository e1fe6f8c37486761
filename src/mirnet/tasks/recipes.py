"""The paper's runs: the recipe of a task and a data set, by the paper or as its weights were made.

The paper is Sec. 4.2. What its released weights were trained with differs: see `released`.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from mirnet.choices import BenchmarkName, DataSetName, RecipeName, Split, TaskName
from mirnet.data.packed import is_packed, read_head
from mirnet.data.sources import DATASETS, find_pairs
from mirnet.errors import DataError, RecipeError
from mirnet.evaluation.benchmarks import BENCHMARKS
from mirnet.tasks.registry import TASKS
from mirnet.training.recipe import (
    DataRecipe,
    ModelRecipe,
    OptimRecipe,
    Recipe,
    ScheduleRecipe,
    Segment,
    SourceRecipe,
    Stage,
    ValidationRecipe,
)

THOUSAND = 1000
RELEASED_STAGES = (
    (92, 128, 8), (64, 160, 5), (48, 192, 4), (36, 256, 2), (36, 320, 1), (24, 384, 1),
)  # fmt: skip
"""Thousands of steps, patch size, and batch size on each of `RELEASED_GPUS`."""
RELEASED_GPUS = 8
HALF_AS_LONG: frozenset[DataSetName] = frozenset({"lol", "realsr-x2", "realsr-x3", "realsr-x4"})
"""Data sets for which the released weights were trained half as long."""


def recipe_for(
    task: TaskName,
    folders: tuple[Path, ...],
    *,
    dataset: DataSetName | None = None,
    kind: RecipeName = "paper",
    start_from: str | None = None,
) -> Recipe:
    """The recipe of a task for the data in ``folders``.

    Args:
        task: what to train for.
        folders: each a data set in a layout of `DATASETS`, or packed by `mirnet prepare`.
        dataset: how the files lie; found out if it is not given.
        kind: the paper's recipe, or that of the released weights.
        start_from: weights to go on from, whose network is then trained.

    Raises:
        RecipeError: no folder is given, or it can't be told what lies in one.
    """
    if not folders:
        raise RecipeError(f"--task {task}: say where the pictures are, with --data FOLDER")
    names = tuple(dataset or found_in(folder, task) for folder in folders)
    sources = tuple(
        SourceRecipe(path=folder, dataset=name) for folder, name in zip(folders, names, strict=True)
    )
    make = released if kind == "released" else paper
    return make(task, sources, start_from)


def paper(task: TaskName, sources: tuple[SourceRecipe, ...], start_from: str | None) -> Recipe:
    """Sec. 4.2: Charbonnier loss, 300,000 steps of 64 patches of 128 to 224 pixels, flips."""
    return Recipe(
        task=task,
        model=ModelRecipe(start_from=start_from),
        data=DataRecipe(sources=sources),
        validation=_validation(sources),
    )


def released(task: TaskName, sources: tuple[SourceRecipe, ...], start_from: str | None) -> Recipe:
    """As the released weights were trained: L1, other patches and batches, mixup, clipping.

    Its learning rate rises from 2e-4 to 3e-4 in the first stage, starts again at 2e-4 and falls to
    1e-6. All is half as long for RealSR and LoL.
    """
    half = any(source.dataset in HALF_AS_LONG for source in sources)
    scale = THOUSAND // 2 if half else THOUSAND
    stages = tuple(
        Stage(steps=steps * scale, patch_size=size, batch_size=batch * RELEASED_GPUS)
        for steps, size, batch in RELEASED_STAGES
    )
    rising = stages[0].steps
    falling = sum(stage.steps for stage in stages) - rising
    two_views = TASKS[task].views == 2
    return Recipe(
        task=task,
        model=ModelRecipe(preset=None if start_from else "released", start_from=start_from),
        data=DataRecipe(
            sources=sources,
            augmentations=("horizontal-flip", "vertical-flip", "transpose"),
            mixup=None if two_views else 1.2,
        ),
        optim=OptimRecipe(loss="l1", clip_norm=0.01),
        schedule=ScheduleRecipe(
            stages=stages,
            segments=(
                Segment(steps=rising, lr=2e-4, lr_end=3e-4),
                Segment(steps=falling, lr=2e-4, lr_end=1e-6),
            ),
        ),
        validation=_validation(sources),
    )


def found_in(folder: Path, task: TaskName, *, preferred: DataSetName | None = None) -> DataSetName:
    """Which of the task's data sets, or else pairs, lies in a folder.

    Raises RecipeError if several do, and the preferred one does not.
    """
    folder = folder.expanduser()
    if is_packed(folder, "train"):
        name: DataSetName = read_head(folder / "train")["dataset"]
        return name
    found = [name for name in TASKS[task].benchmarks if _holds(folder, name)]
    if preferred in found:
        return preferred
    if len(found) > 1:
        raise RecipeError(f"{folder}: holds {' and '.join(found)}; say which, with --dataset")
    if not found:
        return "pairs"
    lacks = "val" in DATASETS[found[0]].counts and not _holds(folder, found[0], "val")
    # Pairs of one's own may lie in train/ as a data set's do, and need no others to validate by.
    return "pairs" if lacks and _holds(folder, "pairs") else found[0]


def _holds(folder: Path, dataset: DataSetName, split: Split = "train") -> bool:
    try:
        return bool(find_pairs(folder, dataset, split))
    except (DataError, OSError):
        return False


def _validation(sources: tuple[SourceRecipe, ...]) -> ValidationRecipe:
    """By the validation part of the first source's data set, if it has one."""
    dataset = sources[0].dataset
    benchmark = BENCHMARKS.get(cast(BenchmarkName, dataset))
    protocol = (benchmark and benchmark.protocol) or "photo"
    if "val" not in DATASETS[dataset].counts:
        return ValidationRecipe(protocol=protocol)
    return ValidationRecipe(
        folders=(sources[0].path,), dataset=dataset, protocol=protocol, every=5000
    )
