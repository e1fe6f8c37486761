"""How a picture is cut, and what around a piece has to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle: rows ``top`` to ``bottom`` and columns ``left`` to ``right``, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def scaled(self, factor: int) -> Box:
        """The same place in a picture that is ``factor`` times smaller; all ends are multiples."""
        ends = (self.top, self.bottom, self.left, self.right)
        return Box(*(end // factor for end in ends))

    def within(self, outer: Box) -> Box:
        """The same place, counted from the corner of ``outer``."""
        return self.moved(-outer.top, -outer.left)

    def moved(self, down: int, right: int) -> Box:
        """The same shape elsewhere."""
        return Box(self.top + down, self.bottom + down, self.left + right, self.right + right)

    def grown(self, margin: int, height: int, width: int) -> Box:
        """With ``margin`` more on each side, as far as a picture of this size has it."""
        return Box(
            max(self.top - margin, 0),
            min(self.bottom + margin, height),
            max(self.left - margin, 0),
            min(self.right + margin, width),
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """How a picture is cut into tiles, from left to right and from top to bottom.

    Attributes:
        height: rows of the picture.
        width: its columns.
        tile_height: rows of a tile; the last ones are smaller.
        tile_width: its columns.
    """

    height: int
    width: int
    tile_height: int
    tile_width: int

    def tiles(
        self, *, backwards: bool, after_row: Callable[[], None] = lambda: None
    ) -> Iterator[Box]:
        """Each tile, row after row from the top left; or the other way round."""
        step = -1 if backwards else 1
        for top in range(0, self.height, self.tile_height)[::step]:
            bottom = min(top + self.tile_height, self.height)
            for left in range(0, self.width, self.tile_width)[::step]:
                yield Box(top, bottom, left, min(left + self.tile_width, self.width))
            after_row()
