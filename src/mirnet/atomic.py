"""Writing a file whole or not at all."""

from __future__ import annotations

import itertools
import os
import platform
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_MACHINE = f"{zlib.crc32(platform.node().encode()):08x}"
_numbers = itertools.count()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; what is written there becomes ``path`` at the end.

    The temporary file has the same suffix, is hidden, and is flushed to the disk before it is
    renamed, so that ``path`` holds either its old content or all of the new, even after a crash.
    When the block raises, the temporary file is removed and ``path`` stays as it was. Each call
    has a name of its own, so that threads and processes don't meet in one file.
    """
    name = f".mirnet-{_MACHINE}-{os.getpid()}-{next(_numbers)}.tmp{path.suffix}"
    temporary = path.with_name(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left in a folder."""
    for left in folder.glob(f".mirnet-{_MACHINE}-*.tmp*"):
        process = left.name.split("-")[2]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            left.unlink(missing_ok=True)


def _umask() -> int:
    """The process's file mode mask; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
