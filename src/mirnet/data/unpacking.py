"""Unpack an archive of a data set, of which nothing is believed."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from mirnet.errors import DataError, one_line

Progress = Callable[[int, int], None]
"""``(members done, members in all)``."""

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MOST_MEMBERS = 1_000_000
CHUNK = 1 << 20
FAULTS = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile,
          EOFError, NotImplementedError, RuntimeError, ValueError)  # fmt: skip
"""What the standard library raises for archives that are damaged or of a kind it can't read."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A file in an archive: where it is to lie, how long it claims to be, how to open it."""

    name: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]
    crc: int | None = None


def unpack(
    archive: Path,
    folder: Path,
    *,
    most_bytes: int | None = None,
    progress: Progress = lambda done, of: None,
) -> None:
    """Unpack an archive into ``folder``; files that are there already are left as they are.

    Refused, before anything is written: names that leave the folder, links, devices, encrypted
    members, two members of one name (or that differ in case alone), and more bytes than there is
    room for. A file appears under its name when it is whole, so that unpacking goes on where it
    was stopped; owners and permissions are not taken over.

    Args:
        archive: .zip, .tar, .tar.gz, .tgz, .tar.bz2 or .tar.xz.
        folder: is made if it isn't there.
        most_bytes: that the files may take; by default, what is free on the disk.
        progress: is told how far it is.

    Raises:
        DataError: the archive is one of those, or damaged; the message names the member.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(folder).free
        room = room if most_bytes is None else min(room, most_bytes)
        with _opened(archive) as members:
            _check(archive, folder, members, room)
            for number, member in enumerate(members, start=1):
                _write(archive, folder / member.name, member)
                progress(number, len(members))
    except FAULTS as error:
        raise DataError(
            f"{archive}: is damaged, or no archive that can be read ({one_line(error)}); fetch it "
            "again"
        ) from error
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: {error.strerror or error}; make room and run the same "
            "command again to go on"
        ) from error


@contextmanager
def _opened(archive: Path) -> Iterator[list[_Member]]:
    name = archive.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            yield [
                _zip_member(archive, zipped, info)
                for info in zipped.infolist()
                if not info.filename.endswith("/")  # is_dir() fails on an empty name
            ]
    elif name.endswith(SUFFIXES):
        with tarfile.open(archive) as tarred:
            infos = list(tarred)
            if not _is_ended(tarred, infos):
                raise DataError(f"{archive}: is cut; fetch it again")
            yield [_tar_member(archive, tarred, info) for info in infos if not info.isdir()]
    else:
        raise DataError(f"{archive}: is none of {', '.join(SUFFIXES)}; unpack it yourself")


def _zip_member(archive: Path, zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise DataError(
            f"{archive}: {_shown(info.filename)} is a link or a device; unpack it yourself"
        )
    if info.flag_bits & 1:
        raise DataError(f"{archive}: {_shown(info.filename)} is encrypted; unpack it yourself")
    name = _safe(archive, info.orig_filename)
    return _Member(name, info.file_size, lambda: zipped.open(info), info.CRC)


def _tar_member(archive: Path, tarred: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    if not info.isreg():
        raise DataError(f"{archive}: {_shown(info.name)} is a link or a device; unpack it yourself")

    def opened() -> IO[bytes]:
        file = tarred.extractfile(info)
        assert file is not None  # it is a regular file
        return file

    return _Member(_safe(archive, info.name), info.size, opened)


def _is_ended(tarred: tarfile.TarFile, infos: list[tarfile.TarInfo]) -> bool:
    """Whether a block of zeros follows the last member; without it, more may have followed."""
    block = tarfile.BLOCKSIZE
    last = infos[-1].offset_data + -(-infos[-1].size // block) * block if infos else 0
    assert tarred.fileobj is not None  # it is open
    tarred.fileobj.seek(last)
    return tarred.fileobj.read(block) == bytes(block)


def _safe(archive: Path, name: str) -> PurePosixPath:
    """A member's name as a path below the folder. Raises DataError for any other."""
    path = PurePosixPath(name)
    parts = [part for part in path.parts if part != "."]
    is_odd = "\\" in name or ":" in name or any(ord(letter) < 32 for letter in name)
    if not parts or path.is_absolute() or ".." in parts or is_odd:
        raise DataError(f"{archive}: {_shown(name)} would lie elsewhere; don't trust this archive")
    return PurePosixPath(*parts)


def _check(archive: Path, folder: Path, members: list[_Member], room: int) -> None:
    if len(members) > MOST_MEMBERS:
        raise DataError(f"{archive}: holds {len(members):,} files; unpack it yourself")
    taken: dict[str, PurePosixPath] = {}
    folders = {str(parent).casefold() for member in members for parent in member.name.parents}
    for member in members:
        key = str(member.name).casefold()
        if key in taken or key in folders:
            raise DataError(
                f"{archive}: holds {_shown(str(member.name))} twice; unpack it yourself"
            )
        taken[key] = member.name
        target = folder / member.name
        if folder.resolve() not in target.resolve().parents:
            raise DataError(f"{target}: a link in the way leads elsewhere; remove it")
    total = sum(member.size for member in members if not _is_there(folder / member.name, member))
    if total > room:
        raise DataError(
            f"{archive}: takes {total / 1e9:.1f} GB unpacked, and there is room for "
            f"{room / 1e9:.1f} GB; make room, or name a folder on another disk"
        )


def _write(archive: Path, target: Path, member: _Member) -> None:
    if _is_there(target, member):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not flushed to the disk one by one, which takes minutes for 30,000 files: after a crash of the
    # machine, sizes and checksums tell what to write again.
    temporary = target.with_name(f".{target.name[:100]}.part")
    written = 0
    try:
        with member.open() as source, temporary.open("wb") as file:
            while chunk := source.read(CHUNK):
                written += len(chunk)
                if written > member.size:
                    raise DataError(
                        f"{archive}: {member.name} is longer than it says; don't trust this archive"
                    )
                file.write(chunk)
        if written < member.size:
            raise DataError(f"{archive}: {member.name} is cut; fetch the archive again")
        temporary.replace(target)
    except FAULTS as error:
        raise DataError(
            f"{archive}: {member.name} is damaged ({one_line(error)}); fetch it again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _is_there(target: Path, member: _Member) -> bool:
    """Whether a file is there whole: of the right size and, in a .zip, with the right checksum."""
    try:
        if not stat.S_ISREG(os.lstat(target).st_mode) or target.stat().st_size != member.size:
            return False
        if member.crc is None:
            return True
        crc = 0
        with target.open("rb") as file:
            while chunk := file.read(CHUNK):
                crc = zlib.crc32(chunk, crc)
    except OSError:
        return False
    return crc == member.crc


def _shown(name: str) -> str:
    return ascii(name[:80])
