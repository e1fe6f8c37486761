"""The unit of supervised data: what the camera gave, and what it should have given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirnet.data.picture import Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One example.

    Attributes:
        id: its name, unique within its data set and split.
        views: the degraded pictures: one, or the left and right view of a dual-pixel photo. None
            for a clean picture whose degraded view is synthesised.
        target: the clean picture, of the same size; None where it is kept from us (DND).
        group: the part of its benchmark that it is scored with, such as "indoor".
    """

    id: str
    views: tuple[Picture, ...]
    target: Picture | None
    group: str | None = None

    def pictures(self) -> Iterator[Picture]:
        """Its views, then its target if there is one."""
        yield from self.views
        if self.target is not None:
            yield self.target

    @property
    def place(self) -> str:
        """Where it lies, for people: its target's place, or its first view's."""
        return next(reversed(tuple(self.pictures()))).place
