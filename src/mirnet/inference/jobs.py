"""Photos to restore, and what a batch will do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mirnet.inference.places import Address, Location


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to restore.

    Attributes:
        source: the photo; of a dual-pixel photo in two files, the left view.
        target: the file to write.
        right: the right view, if it is a file of its own.
    """

    source: Location
    target: Location
    right: Location | None = None

    @property
    def sources(self) -> tuple[Location, ...]:
        """The files that it is made from."""
        return (self.source,) if self.right is None else (self.source, self.right)

    @property
    def stores(self) -> set[str]:
        """The stores that it reads from and writes to."""
        places = (*self.sources, self.target)
        return {place.store for place in places if isinstance(place, Address)}


@dataclass(slots=True)
class Plan:
    """What a batch will do.

    Attributes:
        jobs: the photos, each with where it goes to.
        faults: what was named and can't be done, one line each, by its path.
        left_alone: how many files of kinds that aren't read lie in the folders, by suffix.
    """

    jobs: list[Job] = field(default_factory=list)
    faults: dict[Location, str] = field(default_factory=dict)
    left_alone: Counter[str] = field(default_factory=Counter)

    def refuse(self, place: Location, why: str) -> None:
        """Note that what is at a place can't be restored."""
        self.faults.setdefault(place, f"{place}: {why}")
