"""From the recipe's folders to the batches of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from mirnet.data.loader import Source, TrainingSamples, make_loader
from mirnet.data.manifest import check_pairs, scan_clean, scan_pairs
from mirnet.training.recipe import Recipe, SourceRecipe
from mirnet.training.schedule import batches_from


def training_batches(
    recipe: Recipe, folder: Path, first_step: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches from ``first_step`` to the end of the run, ``(views, target)``.

    Raises DataError, before any batch is made, for a folder that is incomplete or holds pictures
    smaller than the largest patch.
    """
    largest = max(stage.patch_size for stage in recipe.schedule.stages)
    samples = TrainingSamples(
        tuple(_open(source, largest) for source in recipe.data.sources),
        seed=recipe.seed,
        augmentations=recipe.data.augmentations,
        cache=recipe.data.cache or folder / "decoded",
    )
    requests = batches_from(recipe.schedule, first_step)
    return make_loader(samples, requests, workers=recipe.data.workers)


def _open(source: SourceRecipe, largest_patch: int) -> Source:
    pairs = scan_pairs(source.path) if source.degradation is None else scan_clean(source.path)
    check_pairs(pairs, at_least=largest_patch)
    return Source(
        pairs=pairs,
        weight=source.weight or float(len(pairs)),
        degradation=source.degradation,
        exposure=source.exposure,
    )
