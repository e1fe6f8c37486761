"""Where the features of a picture rest between two sweeps: in memory, or in a scratch file."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from mirnet.errors import InsufficientMemoryError
from mirnet.inference.streaming.tiles import Box
from mirnet.units import in_bytes

FOR_LARGE_FILES = Path("/var/tmp")
"""Temporary files that systems with a ``/tmp`` in memory keep on a disk."""
_MOUNTS = Path("/proc/self/mountinfo")


class Rest(Protocol):
    """A place for feature maps."""

    def empty(self, height: int, width: int, channels: int) -> Tensor:
        """Room for a map, ``(height, width, channels)``."""

    def settle(self) -> None:
        """Let go of what was read and written lately, as far as the place can."""


class Memory:
    """Feature maps in the memory of a device."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        """In which arithmetic, and where."""
        self.dtype, self.device = dtype, device

    def empty(self, height: int, width: int, channels: int) -> Tensor:
        """Room for a map."""
        return torch.empty(height, width, channels, dtype=self.dtype, device=self.device)

    def settle(self) -> None:
        """Nothing: it is there to stay."""


class Scratch:
    """Feature maps in a temporary file, of which memory holds just what is worked on.

    The file has no name, so that it goes away with the process, however that ends.
    """

    def __init__(self, dtype: torch.dtype, folder: Path | None = None) -> None:
        """In which arithmetic, and in which folder; ``scratch_folder`` unless told."""
        self.dtype = dtype
        self.folder = folder or scratch_folder() or FOR_LARGE_FILES
        self._maps: list[mmap.mmap] = []

    def empty(self, height: int, width: int, channels: int) -> Tensor:
        """Room for a map. Raises InsufficientMemoryError if it can't be had."""
        count = height * width * channels
        size = count * self.dtype.itemsize
        try:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                _claim(file.fileno(), size)
                mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            remedy = (
                "take a smaller picture, or give this process more memory"
                if error.errno == errno.ENOMEM  # of the address space, not of the disk
                else "make room, or set TMPDIR to a folder on another disk"
            )
            raise InsufficientMemoryError(
                f"{self.folder}: another {in_bytes(size)} of scratch space can't be had "
                f"({error.strerror}); {remedy}"
            ) from error
        self._maps.append(mapped)
        return torch.frombuffer(mapped, dtype=self.dtype, count=count).view(height, width, channels)

    def settle(self) -> None:
        """Unmap what was touched: it stays in the file, and counts no longer as ours."""
        if not hasattr(mmap, "MADV_DONTNEED"):
            return  # Windows trims what a process maps by itself
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)


def scratch_folder() -> Path | None:
    """A folder on a disk for temporary files; None if there is none.

    On many systems ``/tmp`` lies in memory, where a file takes what it is meant to save.
    """
    folders = [FOR_LARGE_FILES]
    with suppress(FileNotFoundError):  # none that can be written, or all are full
        folders.insert(0, Path(tempfile.gettempdir()))
    for folder in folders:
        if os.access(folder, os.W_OK) and not _lies_in_memory(folder):
            return folder
    return None


def _lies_in_memory(folder: Path) -> bool:
    device = folder.stat().st_dev
    try:
        mounts = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:  # no Linux
        return False
    for mount in mounts:  # number, parent's number, device, …, "-", kind of file system, …
        place, _, kind = mount.partition(" - ")
        if place.split()[2] == f"{os.major(device)}:{os.minor(device)}":
            return kind.split()[0] in ("tmpfs", "ramfs")
    return False


def _claim(file: int, size: int) -> None:
    """Take room on the disk now: a mapped file that finds it full later kills the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    zeros = bytes(min(size, 1 << 24))  # macOS and Windows have no such call
    while size:
        size -= os.write(file, zeros[:size])  # less than asked for, where room runs out


class Canvas:
    """One feature map of a whole picture, rewritten in place a tile at a time.

    A sweep reads each tile with what lies around it, and writes the tile. At its own place it would
    destroy what its neighbours have yet to read. So a sweep that goes from the top left writes
    everything ``step`` positions further up and further left, where nobody reads any more; one that
    goes from the bottom right writes ``step`` further down and right.
    """

    def __init__(self, rest: Rest, size: tuple[int, int, int], step: int, ways: list[int]) -> None:
        """Make room.

        Args:
            rest: where.
            size: height, width and channels.
            step: the largest halo that is read, in positions of this map.
            ways: the way (-1 for up and left, 1 for down and right) of each sweep that writes it.
        """
        self.step = step
        self.origin = -min(_places(step, ways))
        self._pixels = rest.empty(*self.room(size, step, ways))

    @staticmethod
    def room(size: tuple[int, int, int], step: int, ways: list[int]) -> tuple[int, int, int]:
        """Height, width and channels of what has to be reserved."""
        places = _places(step, ways)
        room = max(places) - min(places)
        return size[0] + room, size[1] + room, size[2]

    def read(self, box: Box) -> Tensor:
        """A part of the map as it was left by the last sweep that wrote it, ``(1, C, H, W)``."""
        return self._view(box, self.origin)

    def write(self, box: Box, features: Tensor, way: int) -> None:
        """Write a part in a sweep that goes this way."""
        self._view(box, self.origin + way * self.step).copy_(features)

    def turn(self, way: int) -> None:
        """End a sweep that wrote the map: from here on, what it wrote is read."""
        self.origin += way * self.step

    def _view(self, box: Box, origin: int) -> Tensor:
        at = box.moved(origin, origin)
        return self._pixels[at.top : at.bottom, at.left : at.right].permute(2, 0, 1)[None]


def _places(step: int, ways: list[int]) -> list[int]:
    """Where a map lies at first and after each sweep, seen from where it lies at first."""
    return list(accumulate((way * step for way in ways), initial=0))
