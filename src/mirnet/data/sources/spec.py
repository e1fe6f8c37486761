"""What a data set is: where its pairs are found in a folder, and how many there should be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirnet.choices import DataSetName, Split
from mirnet.data.pair import Pair
from mirnet.imaging.photo import Depth

Scan = Callable[[Path, Split], tuple[Pair, ...]]
"""``(folder, split) → pairs``, in a fixed order. DataError names what is missing or left over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A data set in the layouts in which people have it.

    Attributes:
        name: what users type.
        title: what the paper calls it.
        layout: how its files lie, in one line.
        scan: finds the pairs of a split.
        counts: the numbers of pairs that a whole split may have, by split: the paper's first. A
            data set of people's own has none.
        depth: the depth of its files, where its publisher gives one.
        views: pictures that go in together.
        terms: what its publisher allows, in one line.
    """

    name: DataSetName
    title: str
    layout: str
    scan: Scan
    counts: Mapping[Split, tuple[int, ...]] = field(default_factory=dict)
    depth: Depth | None = None
    views: int = 1
    terms: str = "your own"
