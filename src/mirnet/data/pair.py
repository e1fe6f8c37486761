"""The unit of supervised data: what the camera gave, and what it should have given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One example.

    Attributes:
        id: its name, unique within its folder.
        views: the degraded pictures: one, or the left and right view of a dual-pixel photo. None
            for a clean picture whose degraded view is synthesised.
        target: the clean picture, of the same size.
    """

    id: str
    views: tuple[Path, ...]
    target: Path
