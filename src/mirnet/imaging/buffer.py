"""Bytes of a photo file, in memory or on disk."""

from __future__ import annotations

import os
from typing import BinaryIO, Protocol


class Buffer(Protocol):
    """Bytes in memory or on disk."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, where: slice, /) -> bytes:
        """A copy of some of them."""
        ...


class FileView:
    """An open file as a `Buffer`: only what is asked for is read.

    Not a memory map: a file that is cut while it is read would end the process.
    """

    def __init__(self, file: BinaryIO) -> None:
        """View a file that stays open."""
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        """The size of the file."""
        return self._size

    def __getitem__(self, where: slice, /) -> bytes:
        """Read from it."""
        start, stop, _ = where.indices(self._size)
        self._file.seek(start)
        return self._file.read(max(stop - start, 0))
