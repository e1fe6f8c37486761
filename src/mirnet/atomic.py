"""Writing a file whole or not at all, and leaving no folder behind for nothing."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

OLD_S = 24 * 3600.0
"""After so many seconds nobody is taken to write a file still."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; what is written there becomes ``path`` at the end.

    The temporary file has the same suffix, is hidden, belongs to this call alone, and is flushed to
    the disk before it is renamed, so that ``path`` holds either its old content or all of the new,
    even after a crash. When the block raises, the temporary file is removed and ``path`` stays as
    it was.

    Raises:
        OSError: nothing can be written there, which is noticed before the block begins, or the
            name can't be taken. It names ``path``.
    """
    temporary = path.with_name(temporary_name(path.suffix))
    try:
        # Encoders tell of a folder that can't be written in words of their own, after their work.
        mode = _try_to_write(temporary)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        if error.filename not in (None, temporary, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def temporary(folder: Path, suffix: str) -> Iterator[Path]:
    """Yield a name in ``folder`` for a file of this process alone; it goes with the block."""
    path = folder / temporary_name(suffix)
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()


@contextmanager
def temporary_folder(folder: Path) -> Iterator[Path]:
    """Make a folder in ``folder`` for files of this process alone; it goes with the block."""
    path = folder / temporary_name("")
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def marked(folder: Path) -> Iterator[Path]:
    """Make ``folder`` and yield a file in it, hidden and empty, that is there for the block."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / temporary_name("")
    mark.touch()
    try:
        yield mark
    finally:
        with suppress(OSError):
            mark.unlink()


def require_folder(folder: Path) -> None:
    """Make ``folder`` if it isn't there; OSError if that fails or no file can be written in it."""
    folder.mkdir(parents=True, exist_ok=True)
    _try_to_write(folder / temporary_name(""))


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Make ``folder`` and those above it; if the block raises, what was made and is empty goes."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):  # what holds something stays
            for each in made:
                each.rmdir()
        raise


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders in ``folder`` of this machine's processes that are dead.

    Only a process that was killed at once leaves any. What can't be removed stays. Those of a
    container with this machine's name, whose processes can't be seen from here, and those from
    before the machine was started go when they are a day old.
    """
    with suppress(OSError):
        for file in folder.glob(f"{_prefix()}*.tmp*"):
            process, _, rest = file.name.removeprefix(_prefix()).partition("-")
            where = rest.partition("-")[0]
            can_be_dead = process.isdigit() and not psutil.pid_exists(int(process))
            if can_be_dead and (where == _where() or _is_old(file)):
                if file.is_dir():
                    shutil.rmtree(file, ignore_errors=True)
                else:
                    file.unlink(missing_ok=True)


def signature() -> str:
    """How the names of this process's temporary files begin, and of no other's on any machine."""
    return f"{_prefix()}{os.getpid()}-{_where()}-"


def remove_signed(folder: Path, signed: str) -> None:
    """Remove the temporary files of a process that has ended, by its signature."""
    with suppress(OSError):
        for file in folder.glob(f"{signed}*.tmp*"):
            file.unlink(missing_ok=True)


def temporary_name(suffix: str) -> str:
    """A name for a file of this process alone: hidden, and known by its `signature`.

    Short, so that it fits wherever the final name does; a long "suffix" is part of a name.
    """
    short = suffix if len(suffix) <= 16 else ""
    return f"{signature()}{secrets.token_hex(4)}.tmp{short}"


def _prefix() -> str:
    """How this machine's temporary names begin: on a shared disk, another has the same numbers."""
    return f".mirnet-{zlib.crc32(platform.node().encode()):08x}-"


@cache
def _where() -> str:
    """What tells the processes that this one sees from those of other containers and boots."""
    seen = ""
    with suppress(OSError):  # where there is no Linux
        seen = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        seen += str(Path("/proc/self/ns/pid").readlink())
    return f"{zlib.crc32(seen.encode()):08x}"


def _is_old(file: Path) -> bool:
    return time.time() - file.stat().st_mtime > OLD_S


def _try_to_write(temporary: Path) -> int:
    """Make a file and remove it. Returns the mode that new files have there."""
    try:
        temporary.touch()
        return stat.S_IMODE(temporary.stat().st_mode)
    finally:
        with suppress(OSError):
            temporary.unlink()
