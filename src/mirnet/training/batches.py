"""From the recipe's folders to the batches of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from mirnet.data.loader import Source, TrainingSamples, make_loader
from mirnet.data.manifest import check_pairs, scan_clean, scan_pairs
from mirnet.errors import DataError, RecipeError
from mirnet.training.recipe import Recipe, SourceRecipe
from mirnet.training.schedule import batches_from


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a run is trained on, found and checked.

    Attributes:
        sources: the pairs.
        digest: of the names and sizes of all their files.
    """

    sources: tuple[Source, ...]
    digest: str

    def files(self) -> Iterator[Path]:
        """Every picture."""
        for source in self.sources:
            for pair in source.pairs:
                yield from (*pair.views, pair.target)


def open_data(recipe: Recipe) -> TrainingData:
    """Find the recipe's pictures and look at every header.

    Raises:
        DataError: a folder is incomplete, or holds pictures smaller than the largest patch, or of
            other views than the network takes.
        RecipeError: the network does not give the three channels of a target.
    """
    config = recipe.model.config()
    if config.out_channels != 3:
        raise RecipeError(f"model.out_channels: targets have 3 channels, not {config.out_channels}")
    largest = max(stage.patch_size * stage.shrink for stage in recipe.schedule.stages)
    sources = tuple(_open(source, largest, config.in_channels) for source in recipe.data.sources)
    digest = hashlib.sha256()
    for source in sources:
        for pair in source.pairs:
            for path in (*pair.views, pair.target):
                digest.update(f"{pair.id}\0{path.suffix}\0{path.stat().st_size}\0".encode())
    return TrainingData(sources, digest.hexdigest())


def training_batches(
    recipe: Recipe, data: TrainingData, folder: Path, first_step: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches from ``first_step`` to the end of the run, ``(views, target)``."""
    cache = recipe.data.cache.expanduser() if recipe.data.cache else folder / "decoded"
    samples = TrainingSamples(
        data.sources, seed=recipe.seed, augmentations=recipe.data.augmentations, cache=cache
    )
    requests = batches_from(recipe.schedule, first_step)
    return make_loader(samples, requests, workers=recipe.data.workers)


def _open(source: SourceRecipe, largest_patch: int, channels: int) -> Source:
    folder = source.path.expanduser()
    pairs = scan_pairs(folder) if source.degradation is None else scan_clean(folder)
    views = len(pairs[0].views) or 1
    if 3 * views != channels:
        raise DataError(
            f"{folder}: gives {views} view{'s' * (views > 1)} of 3 channels, and the network "
            f"takes {channels} channels; two views lie in inputL/ and inputR/"
        )
    check_pairs(pairs, at_least=largest_patch)
    return Source(
        pairs=pairs,
        weight=source.weight or float(len(pairs)),
        degradation=source.degradation,
        exposure=source.exposure,
    )
