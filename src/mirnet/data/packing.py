"""Pack pictures once: resumable, bounded in open files and in disk, shared by runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from mirnet.atomic import replacing
from mirnet.choices import DataSetName, Split
from mirnet.data.ahead import in_order
from mirnet.data.packed import (
    HEAD,
    INDEX,
    VERSION,
    Packed,
    piece_name,
    read_head,
    read_packed,
    whole_lines,
)
from mirnet.data.pair import Pair
from mirnet.data.picture import Layout, Pixels, digest
from mirnet.errors import DataError, PhotoError, one_line
from mirnet.units import counted

PIECE_BYTES = 2**30
"""Cluster file systems like files of about a gigabyte."""
ALIGNMENT = 64  # bytes; so that rows of any type can be viewed in place

Progress = Callable[[int, int], None]
"""``(pairs done, pairs in all)``."""


def pack(
    pairs: Sequence[Pair],
    folder: Path,
    *,
    dataset: DataSetName,
    split: Split,
    progress: Progress = lambda done, of: None,
) -> Packed:
    """Pack pairs into ``folder/split``, or go on with it, or find it done.

    A pair with a picture that can't be read is left out and named. Several processes that want the
    same wait for the one that packs.

    Raises:
        DataError: there are no pairs or no room, nothing can be written, ``folder`` was packed
            from other pictures, or no pair can be read.
    """
    if not pairs:
        raise DataError(f"{split}: has no pairs to pack; name the parts that have, with --split")
    packed = folder / split
    stamp = source_stamp(pairs)
    try:
        packed.mkdir(parents=True, exist_ok=True)
        with FileLock(packed / "lock"):
            head = read_head(packed) if (packed / HEAD).is_file() else None
            if head is not None and head["source"] != stamp:
                raise DataError(
                    f"{packed}: holds other pictures, or older ones; remove it to pack these"
                )
            if head is None or not head["is_complete"]:
                facts = {"version": VERSION, "dataset": dataset, "split": split, "source": stamp}
                _write_head(packed, facts | {"is_complete": False})
                _pack_rest(pairs, packed, progress)
                _write_head(packed, facts | {"is_complete": True})
    except OSError as error:
        raise DataError(
            f"{packed}: can't be written ({error.strerror}); make room or name another folder, and "
            "run the same command again to go on"
        ) from error
    found = read_packed(packed)
    if not found.pairs:
        name, why = next(iter(found.unreadable.items()))
        raise DataError(f"none of {counted(len(pairs), 'pair')} can be read; {name}: {why}")
    return found


def source_stamp(pairs: Sequence[Pair]) -> str:
    """A digest of the files that pairs lie in: their paths, sizes and times of change."""
    stamps = hashlib.sha256()
    for pair in pairs:
        stamps.update(f"{pair.id}\0{len(pair.views)}\0{pair.group}\n".encode())
        for picture in pair.pictures():
            try:
                stamps.update(f"{picture.stamp()}\n".encode())
            except OSError as error:
                raise DataError(f"{picture.place}: can't be read ({error.strerror})") from error
    return stamps.hexdigest()


def bytes_needed(pairs: Sequence[Pair]) -> int:
    """How much room pairs take when they are packed; pictures that can't be read take none."""
    total = 0
    for pair in pairs:
        for picture in pair.pictures():
            try:
                total += picture.layout().nbytes + ALIGNMENT
            except (PhotoError, DataError):
                continue
    return total


def _pack_rest(pairs: Sequence[Pair], packed: Path, progress: Progress) -> None:
    index = packed / INDEX
    done = whole_lines(index)
    todo = pairs[len(done) :]
    needed, free = bytes_needed(todo), shutil.disk_usage(packed).free
    if needed > free:
        raise DataError(
            f"{packed}: packing takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; "
            "make room, or name a folder on another disk"
        )
    with index.open("r+b" if index.exists() else "w+b") as lines:
        lines.truncate(sum(len(line) for line in done))
        lines.seek(0, os.SEEK_END)
        writer = _Writer(packed, *_end_of(done))
        with writer:
            for number, (pair, read) in enumerate(in_order(_pixels_of, todo), start=len(done) + 1):
                record: dict[str, Any] = {"id": pair.id}
                if isinstance(read, str):
                    record["unreadable"] = read
                else:
                    entries = [writer.add(pixels) for pixels in read]
                    record |= {"group": pair.group, "views": entries[: len(pair.views)]}
                    record["target"] = None if pair.target is None else entries[-1]
                writer.flush()
                lines.write(json.dumps(record).encode() + b"\n")
                lines.flush()
                progress(number, len(pairs))
        os.fsync(lines.fileno())


def _pixels_of(pair: Pair) -> list[Pixels] | str:
    try:
        pictures = [picture.pixels() for picture in pair.pictures()]
    except (PhotoError, DataError, OSError) as error:
        return one_line(error)
    sizes = {picture.shape[:2] for picture in pictures}
    return pictures if len(sizes) == 1 else f"{pair.place}: its pictures are of unequal size"


class _Writer:
    """Appends pictures to pieces, from a place on."""

    def __init__(self, packed: Path, piece: int, offset: int) -> None:
        self.packed, self.piece = packed, piece
        self._file = self._open(offset)

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def add(self, pixels: Pixels) -> dict[str, Any]:
        """Write a picture; what the index says of it."""
        data = np.ascontiguousarray(pixels)
        if self._file.tell() and self._file.tell() + data.nbytes > PIECE_BYTES:
            self._close()
            self.piece += 1
            self._file = self._open(0)
        self._file.write(bytes(-self._file.tell() % ALIGNMENT))
        offset = self._file.tell()
        self._file.write(data.data)
        return {
            "piece": self.piece,
            "offset": offset,
            "layout": [*data.shape, data.dtype.name],
            "sha256": digest(data),
        }

    def flush(self) -> None:
        """Hand everything to the system, so that the index never names what isn't there."""
        self._file.flush()

    def _open(self, offset: int) -> Any:
        path = self.packed / piece_name(self.piece)
        file = path.open("r+b" if path.exists() else "w+b")
        file.truncate(offset)
        file.seek(offset)
        return file

    def _close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _end_of(lines: list[bytes]) -> tuple[int, int]:
    """The piece to go on with, and where in it."""
    piece = offset = 0
    for line in lines:
        record: dict[str, Any] = json.loads(line)
        for entry in [*record.get("views", []), record.get("target")]:
            if entry:
                piece = entry["piece"]
                offset = entry["offset"] + Layout(*entry["layout"]).nbytes
    return piece, offset


def _write_head(packed: Path, head: dict[str, Any]) -> None:
    with replacing(packed / HEAD) as temporary:
        temporary.write_text(json.dumps(head, indent=2) + "\n", "utf-8")
