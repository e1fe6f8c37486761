"""Whether pairs are fit for what is done with them: sizes, channels, targets, place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture
from mirnet.errors import DataError, PhotoError


def require_sizes(pairs: Sequence[Pair], *, at_least: int) -> None:
    """Look at every header and refuse pairs of unequal or too small size.

    Args:
        pairs: what a scan found.
        at_least: the smallest height and width that is needed, in pixels.
    """
    for pair in pairs:
        try:
            sizes = {picture.place: picture.layout().size for picture in pair.pictures()}
        except PhotoError as error:
            raise DataError(str(error)) from error
        height, width = sizes[pair.place]
        for place, size in sizes.items():
            if size != (height, width):
                raise DataError(
                    f"{place}: is {size[1]}×{size[0]}, its target {pair.place} is "
                    f"{width}×{height}; the pictures of a pair must have the same size"
                )
        if min(height, width) < at_least:
            raise DataError(
                f"{pair.place}: is {width}×{height}, smaller than the largest patch "
                f"({at_least}); take the picture out or lower patch_size"
            )


def require_apart(folder: Path, pairs: Iterable[Pair]) -> None:
    """Refuse a folder among the pictures of these pairs for results, which would become data."""
    place = folder.expanduser().resolve()
    pictures = (picture for pair in pairs for picture in pair.pictures())
    for parent in {each.path.parent for each in pictures if isinstance(each, FilePicture)}:
        if place.is_relative_to(parent.resolve()):
            raise DataError(
                f"{folder}: is among the pictures in {parent}, and results would become data; name "
                "another --output"
            )


def require_views(pairs: Sequence[Pair], channels: int, *, of: str) -> None:
    """Refuse pairs of other views than the network takes; ``of`` says where they come from."""
    for pair in pairs:
        views = len(pair.views)
        if not views:
            raise DataError(
                f"{of}: {pair.id} has no input; give a degradation that makes one, or pairs"
            )
        if 3 * views != channels:
            raise DataError(
                f"{of}: {pair.id} has {views} view{'s' * (views > 1)} of 3 channels, and the "
                f"network takes {channels} channels; two views lie in inputL/ and inputR/"
            )


def require_targets(pairs: Sequence[Pair], *, of: str) -> None:
    """Refuse pairs whose targets are kept from us; ``of`` says where they come from."""
    for pair in pairs:
        if pair.target is None:
            raise DataError(f"{of}: {pair.id} has no target, so nothing can be learnt or scored")
