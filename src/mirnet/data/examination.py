"""A thorough look at a data set: everything that is missing or wrong, with its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mirnet.choices import DataSetName, Split
from mirnet.data.ahead import in_order
from mirnet.data.pair import Pair
from mirnet.data.picture import Pixels, digest
from mirnet.data.sources import DATASETS, find_pairs
from mirnet.errors import DataError, PhotoError, one_line
from mirnet.imaging.quantize import to_planes
from mirnet.units import counted

Progress = Callable[[int, int], None]
"""``(pairs done, pairs in all)``."""

DTYPE = {"8": "uint8", "16": "uint16", "float": "float32"}
THUMBNAIL = 16
"""Height and width of what pictures are compared by, to see whether they show the same."""
ALIKE = 0.995
"""Correlation of two such thumbnails from which they are taken for the same scene."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a data set.

    Attributes:
        place: the path, and what part of it.
        what: what is wrong there.
        is_error: whether training or scores would be wrong; otherwise it may be meant.
    """

    place: str
    what: str
    is_error: bool = True


@dataclass(slots=True)
class Examination:
    """What was looked at, and what was found.

    Attributes:
        pairs: the number of pairs in each split that is there.
        findings: in the order in which they were found.
    """

    pairs: dict[Split, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(finding.is_error for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a pair that was opened."""

    faults: tuple[Finding, ...]
    target: str | None = None
    thumbnail: NDArray[np.float32] | None = None


def examine(
    folder: Path,
    dataset: DataSetName,
    splits: tuple[Split, ...],
    *,
    progress: Progress = lambda done, of: None,
) -> Examination:
    """Scan, match and open everything in these splits of a data set.

    Looked for are missing partners, pictures that can't be decoded, unequal sizes, another depth or
    number of pairs than published, equal targets within a split, and targets of one split in
    another, by content and, as a remark, by looks.
    """
    found = Examination()
    every: dict[Split, tuple[Pair, ...]] = {}
    for split in splits:
        try:
            every[split] = find_pairs(folder, dataset, split)
        except DataError as error:
            where, _, what = str(error).partition(": ")
            found.findings += [
                Finding(place=place, what=what) for place in error.places or (where,)
            ]
    total, done = sum(map(len, every.values())), 0
    seen: dict[Split, list[tuple[Pair, _Seen]]] = {}
    for split, pairs in every.items():
        found.pairs[split] = len(pairs)
        found.findings += _count(folder, dataset, split, len(pairs))
        seen[split] = []
        for pair, look in in_order(lambda pair: _open(pair, dataset), pairs):
            done += 1
            progress(done, total)
            seen[split].append((pair, look))
            found.findings += look.faults
    for looks in seen.values():
        found.findings += _duplicates(looks)
    names = list(seen)
    for number, split in enumerate(names):
        for other in names[number + 1 :]:
            found.findings += _leaks(seen[split], seen[other], split, other)
    return found


def _count(folder: Path, dataset: DataSetName, split: Split, pairs: int) -> Iterator[Finding]:
    published = DATASETS[dataset].counts.get(split)
    if published and pairs not in published:
        counts = " or ".join(map(str, published))
        what = (
            f"{split} has {counted(pairs, 'pair')}, {DATASETS[dataset].title} is published with "
            f"{counts}"
        )
        yield Finding(place=str(folder), what=what)


def _open(pair: Pair, dataset: DataSetName) -> _Seen:
    """Decode a pair and look at it."""
    faults, pictures = [], []
    for picture in pair.pictures():
        try:
            pixels = picture.pixels()
        except (PhotoError, DataError, OSError) as error:
            what = one_line(error).removeprefix(f"{picture.place}: ")
            faults.append(Finding(place=picture.place, what=what))
            continue
        pictures.append((picture.place, pixels))
        depth = DATASETS[dataset].depth
        if depth and pixels.dtype.name != DTYPE[depth]:
            what = f"is {pixels.dtype.name}, and is published with {depth} bits"
            faults.append(Finding(place=picture.place, what=what))
    faults += _unequal(pictures)
    if pair.target is None or faults:
        return _Seen(tuple(faults))
    place, target = pictures[-1]
    if any(np.array_equal(view, target) for _, view in pictures[:-1]):
        faults.append(Finding(place=place, what="is the same as its input", is_error=False))
    return _Seen(tuple(faults), digest(target), _thumbnail(target))


def _unequal(pictures: list[tuple[str, Pixels]]) -> Iterator[Finding]:
    if not pictures:
        return
    place, target = pictures[-1]
    for other, pixels in pictures[:-1]:
        if pixels.shape[:2] != target.shape[:2]:
            (height, width), (tall, wide) = pixels.shape[:2], target.shape[:2]
            yield Finding(
                place=other, what=f"is {width}×{height}, its target {place} is {wide}×{tall}"
            )


def _duplicates(seen: list[tuple[Pair, _Seen]]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for pair, look in seen:
        if look.target is None:
            continue
        if look.target in first:
            what = f"is the same picture as {first[look.target]}"
            yield Finding(place=pair.place, what=what, is_error=False)
        first.setdefault(look.target, pair.place)


def _leaks(
    ours: list[tuple[Pair, _Seen]], theirs: list[tuple[Pair, _Seen]], split: Split, other: Split
) -> Iterator[Finding]:
    places = {look.target: pair.place for pair, look in ours if look.target is not None}
    leaked = set()
    for pair, look in theirs:
        if look.target in places:
            leaked.add(pair.place)
            what = f"of {other} is in {split} too, as {places[look.target]}"
            yield Finding(place=pair.place, what=what)
    mine = [(pair, look.thumbnail) for pair, look in ours if look.thumbnail is not None]
    if not mine:
        return
    stacked = np.stack([thumbnail for _, thumbnail in mine])
    for pair, look in theirs:
        if look.thumbnail is None or pair.place in leaked:
            continue
        likeness = stacked @ look.thumbnail
        best = int(likeness.argmax())
        if likeness[best] >= ALIKE:
            what = f"of {other} looks like {mine[best][0].place} of {split}"
            yield Finding(place=pair.place, what=what, is_error=False)


def _thumbnail(pixels: Pixels) -> NDArray[np.float32] | None:
    """A tiny grey version as a vector of mean 0 and length 1; None for what is flat or tiny."""
    grey = to_planes(pixels).mean(axis=0)
    height, width = grey.shape
    if min(height, width) < THUMBNAIL:
        return None
    small = _averaged(_averaged(grey, 0, height), 1, width)
    vector = (small - small.mean()).ravel()
    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if length > 1e-3 else None


def _averaged(values: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    """The means of `THUMBNAIL` stretches along an axis, as equal as they can be."""
    edges = np.arange(THUMBNAIL + 1) * length // THUMBNAIL
    sums = np.add.reduceat(values, edges[:-1], axis=axis)
    shape = (-1, 1) if axis == 0 else (1, -1)
    return (sums / np.diff(edges).reshape(shape)).astype(np.float32)
