"""From the recipe's folders to the batches of a run."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from mirnet.choices import DataSetName, Split
from mirnet.data.checking import require_sizes, require_targets, require_views
from mirnet.data.degradations import VIEWS
from mirnet.data.loader import Source, TrainingSamples, make_loader
from mirnet.data.packed import Packed, PackedPicture
from mirnet.data.packing import pack, source_stamp
from mirnet.data.pair import Pair
from mirnet.data.sources import find_pairs
from mirnet.errors import RecipeError
from mirnet.progress import bar
from mirnet.training.recipe import Recipe, SourceRecipe
from mirnet.training.schedule import batches_from
from mirnet.units import counted

logger = logging.getLogger("mirnet")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a run is trained on, found, checked and packed.

    Attributes:
        sources: the pairs.
        digest: of their names and content.
        held_out: pairs to validate on, by the folder that they were taken from.
    """

    sources: tuple[Source, ...]
    digest: str
    held_out: dict[str, tuple[Pair, ...]] = field(default_factory=dict)

    def pairs(self) -> Iterator[Pair]:
        """Every pair."""
        for source in self.sources:
            yield from source.pairs


def open_data(recipe: Recipe, folder: Path, *, processes: int = 1) -> TrainingData:
    """Find the recipe's pictures, look at every header, and pack what is not packed yet.

    Pictures that can't be read are left out and named by a warning of the logger ``mirnet``.

    Args:
        recipe: the whole run.
        folder: of the run; pictures are packed into its ``packed/`` unless the recipe says where.
        processes: that train together.

    Raises:
        DataError: a folder is incomplete, or holds pictures smaller than the largest patch, or of
            other views than the network takes; or there is no room.
        RecipeError: the network does not give the three channels of a target, or a batch can't be
            shared equally among the processes.
    """
    config = recipe.model.config()
    for stage in recipe.schedule.stages:
        if stage.batch_size % processes:
            raise RecipeError(
                f"schedule.stages.batch_size: {stage.batch_size} can't be shared equally among "
                f"{processes} processes"
            )
    if config.out_channels != 3:
        raise RecipeError(f"model.out_channels: targets have 3 channels, not {config.out_channels}")
    largest = max(stage.patch_size * stage.shrink for stage in recipe.schedule.stages)
    cache = recipe.data.cache.expanduser() if recipe.data.cache else folder / "packed"
    sources, digest = [], hashlib.sha256()
    held_out = {}
    for source in recipe.data.sources:
        pairs = _found(source, largest, config.in_channels)
        packed = _packed(pairs, cache, source.dataset, source.split)
        digest.update(packed.digest().encode())
        trained, held = _parted(packed.pairs, source)
        if held:
            name = f"{source.path}, held out"
            if name in held_out:  # another part of the same folder
                name = f"{source.path} ({source.dataset} {source.split}), held out"
            held_out[name] = held
        sources.append(
            Source(
                pairs=trained,
                weight=source.weight or float(len(trained)),
                degradation=source.degrading(),
                exposure=source.exposure,
            )
        )
    return TrainingData(tuple(sources), digest.hexdigest(), held_out)


def training_batches(
    recipe: Recipe, data: TrainingData, first_step: int, *, rank: int = 0, processes: int = 1
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """The batches from ``first_step`` to the end of the run, ``(views, target)``.

    Of several processes, each gets its share of every batch.
    """
    samples = TrainingSamples(
        data.sources,
        seed=recipe.seed,
        augmentations=recipe.data.augmentations,
        mixup=recipe.data.mixup,
    )
    requests = (
        batch[rank * len(batch) // processes : (rank + 1) * len(batch) // processes]
        for batch in batches_from(recipe.schedule, first_step)
    )
    return make_loader(samples, requests, workers=recipe.data.workers)


def _found(source: SourceRecipe, largest_patch: int, channels: int) -> tuple[Pair, ...]:
    """The pairs of a source; clean pictures without views if it degrades them."""
    is_clean = source.degradation is not None
    dataset: DataSetName = "clean" if is_clean and source.dataset == "pairs" else source.dataset
    pairs = find_pairs(source.path, dataset, source.split)
    require_targets(pairs, of=str(source.path))
    if is_clean:
        pairs = tuple(replace(pair, views=()) for pair in pairs)
        views = VIEWS.get(source.degradation or "", 1)
        if 3 * views != channels:
            raise source.fault(
                "degradation",
                f"{source.degradation} gives {views} views of 3 channels, and the network takes "
                f"{channels} channels",
            )
    else:
        require_views(pairs, channels, of=str(source.path))
    require_sizes(pairs, at_least=largest_patch)
    return pairs


def _packed(pairs: tuple[Pair, ...], cache: Path, dataset: DataSetName, split: Split) -> Packed:
    """The pairs, packed; those that are packed already as they are."""
    if all(isinstance(picture, PackedPicture) for pair in pairs for picture in pair.pictures()):
        return Packed(pairs, {})
    with bar(f"packing {len(pairs)} pictures or pairs") as show:
        packed = pack(
            pairs, cache / source_stamp(pairs)[:16], dataset=dataset, split=split, progress=show
        )
    for why in packed.unreadable.values():
        logger.warning("%s; it is left out", why)
    return packed


def _parted(
    pairs: tuple[Pair, ...], source: SourceRecipe
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """What is trained on, and what is held out, evenly spread."""
    count = len(pairs)
    if not source.hold_out:
        return pairs, ()
    if source.hold_out >= count:
        raise source.fault(
            "hold_out", f"must be below the {counted(count, 'pair')} of {source.path}"
        )
    held = tuple(pairs[number * count // source.hold_out] for number in range(source.hold_out))
    targets = {pair.target.stamp() for pair in held if pair.target is not None}
    trained = tuple(
        pair for pair in pairs if pair.target is not None and pair.target.stamp() not in targets
    )
    if not trained:
        raise source.fault("hold_out", f"all of {source.path} shows what is held out")
    return trained, held
