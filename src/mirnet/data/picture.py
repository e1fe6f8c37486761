"""A picture of a data set, wherever it lies: in a file, in a box of a larger one, in an array."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mirnet.imaging.io import read_header, read_photo

Pixels = NDArray[Any]
"""``(H, W, 3)`` or ``(H, W, 1)``; uint8, uint16, or float32 in [0, 1]."""


class Region(NamedTuple):
    """A window of a picture, in pixels counted from its top left corner."""

    top: int
    left: int
    height: int
    width: int

    @property
    def window(self) -> tuple[slice, slice]:
        """What it selects of an array ``(H, W, …)``."""
        rows = slice(self.top, self.top + self.height)
        return rows, slice(self.left, self.left + self.width)

    def within(self, outer: Region) -> Region:
        """The same window, counted from where ``outer`` is counted from."""
        return self._replace(top=outer.top + self.top, left=outer.left + self.left)


class Layout(NamedTuple):
    """How the pixels of a picture are laid out: ``(height, width, channels)`` of a type."""

    height: int
    width: int
    channels: int
    dtype: str
    """``"uint8"``, ``"uint16"`` or ``"float32"``."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def nbytes(self) -> int:
        """Bytes that the pixels take uncompressed."""
        return self.height * self.width * self.channels * np.dtype(self.dtype).itemsize


class Picture(Protocol):
    """What data sets are made of. It can be pickled; nothing is read before it is asked for."""

    @property
    def place(self) -> str:
        """Where it lies, for people: a path, and what part of it."""

    def layout(self) -> Layout:
        """Its size and type, without its pixels. Raises PhotoError or DataError."""

    def pixels(self, region: Region | None = None) -> Pixels:
        """The picture, or a region of it. Raises PhotoError or DataError."""

    def stamp(self) -> str:
        """Changes when the file that it lies in is changed. OSError if there is none."""


@dataclass(frozen=True, slots=True)
class FilePicture:
    """A photo file, upright."""

    path: Path

    @property
    def place(self) -> str:
        """Its path."""
        return str(self.path)

    def layout(self) -> Layout:
        """What its header says."""
        header = read_header(self.path)
        dtype = {"8": "uint8", "16": "uint16", "float": "float32"}[header.depth]
        return Layout(header.height, header.width, header.channels, dtype)

    def pixels(self, region: Region | None = None) -> Pixels:
        """Decode the file; a region costs as much as the whole."""
        pixels = read_photo(self.path).pixels
        return pixels if region is None else pixels[region.window]

    def stamp(self) -> str:
        """Path, size and time of the last change."""
        return file_stamp(self.path)


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a larger picture."""

    whole: Picture
    region: Region

    @property
    def place(self) -> str:
        """The larger picture, and the box counted from 0."""
        top, left, height, width = self.region
        return f"{self.whole.place} [{top}:{top + height}, {left}:{left + width}]"

    def layout(self) -> Layout:
        """The box's size, the larger picture's type."""
        return self.whole.layout()._replace(height=self.region.height, width=self.region.width)

    def pixels(self, region: Region | None = None) -> Pixels:
        """The box, or a region counted from its corner."""
        return self.whole.pixels(region.within(self.region) if region else self.region)

    def stamp(self) -> str:
        """The larger picture's, and the box."""
        return f"{self.whole.stamp()}\0{tuple(self.region)}"


def digest(pixels: Pixels) -> str:
    """The SHA-256 of size, type and values: the same for equal pictures, however they are stored.

    Where a file says the same in another way (grey as three equal channels), it is another.
    """
    head = f"{pixels.shape}\0{pixels.dtype.name}\0".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def file_stamp(path: Path) -> str:
    """A file's path, size and time of the last change."""
    status = path.stat()
    return f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
