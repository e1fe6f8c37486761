"""From the recipe's folders to the batches of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from mirnet.data.loader import Source, TrainingSamples, make_loader
from mirnet.data.manifest import check_pairs, scan_clean, scan_pairs
from mirnet.errors import DataError, RecipeError
from mirnet.training.recipe import Recipe, SourceRecipe
from mirnet.training.schedule import batches_from


def training_batches(
    recipe: Recipe, folder: Path, first_step: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches from ``first_step`` to the end of the run, ``(views, target)``.

    Raises DataError, before any batch is made, for a folder that is incomplete or holds pictures
    smaller than the largest patch.
    """
    config = recipe.model.config()
    if config.out_channels != 3:
        raise RecipeError(f"model.out_channels: targets have 3 channels, not {config.out_channels}")
    largest = max(stage.patch_size for stage in recipe.schedule.stages)
    samples = TrainingSamples(
        tuple(_open(source, largest, config.in_channels) for source in recipe.data.sources),
        seed=recipe.seed,
        augmentations=recipe.data.augmentations,
        cache=recipe.data.cache or folder / "decoded",
    )
    requests = batches_from(recipe.schedule, first_step)
    return make_loader(samples, requests, workers=recipe.data.workers)


def _open(source: SourceRecipe, largest_patch: int, channels: int) -> Source:
    pairs = scan_pairs(source.path) if source.degradation is None else scan_clean(source.path)
    views = len(pairs[0].views) or 1
    if 3 * views != channels:
        raise DataError(
            f"{source.path}: gives {views} view{'s' * (views > 1)} of 3 channels, and the network "
            f"takes {channels} channels; two views lie in inputL/ and inputR/"
        )
    check_pairs(pairs, at_least=largest_patch)
    return Source(
        pairs=pairs,
        weight=source.weight or float(len(pairs)),
        degradation=source.degradation,
        exposure=source.exposure,
    )
