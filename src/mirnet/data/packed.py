"""Packed pictures: pixels row after row in large files, so that a crop is read without decoding.

A packed split is a folder of pieces, which hold pixels, an index with a line for each pair, and a
head that says what was packed. `mirnet.data.packing` writes it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.choices import DataSetName, Split
from mirnet.data.pair import Pair
from mirnet.data.picture import Layout, Pixels, Region
from mirnet.errors import DataError

VERSION = 1
INDEX, HEAD = "index.jsonl", "pack.json"
HEAD_KEYS = {"version", "dataset", "split", "source", "is_complete"}


@dataclass(frozen=True, slots=True)
class PackedPicture:
    """A picture in a piece."""

    piece: Path
    offset: int
    laid_out: Layout
    sha256: str

    @property
    def place(self) -> str:
        """The piece, and where in it."""
        return f"{self.piece} at {self.offset}"

    def layout(self) -> Layout:
        """What the index says."""
        return self.laid_out

    def pixels(self, region: Region | None = None) -> Pixels:
        """A view of the pixels; only the rows of the region are read from the disk."""
        height, width, channels, dtype = self.laid_out
        try:
            whole = _opened(self.piece)
        except OSError as error:
            raise DataError(
                f"{self.piece}: can't be read ({error.strerror}); bring it back, or remove its "
                "folder and run the same command again to pack it anew"
            ) from error
        data = whole[self.offset : self.offset + self.laid_out.nbytes]
        picture: Pixels = data.view(dtype).reshape(height, width, channels)
        return picture if region is None else picture[region.window]

    def stamp(self) -> str:
        """The content's digest."""
        return self.sha256


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed split.

    Attributes:
        pairs: what could be read.
        unreadable: for each pair that could not, its name and why.
    """

    pairs: tuple[Pair, ...]
    unreadable: dict[str, str]

    def digest(self) -> str:
        """Of the names and the content of all pairs, in order."""
        facts = [(pair.id, [picture.stamp() for picture in pair.pictures()]) for pair in self.pairs]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def is_packed(folder: Path, split: Split) -> bool:
    """Whether ``folder`` holds this split packed, done or begun."""
    return (folder / split / HEAD).is_file()


def scan_packed(folder: Path, dataset: DataSetName, split: Split) -> tuple[Pair, ...]:
    """The pairs of a packed split. DataError if it is unfinished, damaged or of other data."""
    packed, head = folder / split, read_head(folder / split)
    if head["dataset"] != dataset:
        raise DataError(f"{packed}: was packed from {head['dataset']}, not {dataset}; say so")
    if not head["is_complete"]:
        raise DataError(f"{packed}: is not packed to the end; run the same `mirnet prepare` again")
    return read_packed(packed).pairs


def read_packed(packed: Path) -> Packed:
    """What a packed split holds. DataError if a piece is missing or cut."""
    pairs, unreadable = [], {}
    sizes: dict[int, int] = {}
    for line in whole_lines(packed / INDEX):
        record = json.loads(line)
        if Path(record["id"]).is_absolute() or ".." in Path(record["id"]).parts:
            raise DataError(f"{packed / INDEX}: names a pair {record['id']}; pack again")
        if "unreadable" in record:
            unreadable[record["id"]] = record["unreadable"]
            continue
        entries = [*record["views"], *([record["target"]] if record["target"] else [])]
        pictures = [_picture(packed, entry) for entry in entries]
        for entry, picture in zip(entries, pictures, strict=True):
            end = picture.offset + picture.laid_out.nbytes
            sizes[entry["piece"]] = max(sizes.get(entry["piece"], 0), end)
        views = tuple(pictures[: len(record["views"])])
        target = pictures[-1] if record["target"] else None
        pairs.append(Pair(id=record["id"], views=views, target=target, group=record["group"]))
    for piece, size in sizes.items():
        path = packed / piece_name(piece)
        if not path.is_file() or path.stat().st_size < size:
            raise DataError(f"{path}: is missing or cut; remove {packed} and pack it again")
    return Packed(tuple(pairs), unreadable)


def _picture(packed: Path, entry: dict[str, Any]) -> PackedPicture:
    piece = packed / piece_name(entry["piece"])
    return PackedPicture(piece, entry["offset"], Layout(*entry["layout"]), entry["sha256"])


def whole_lines(index: Path) -> list[bytes]:
    """The lines of an index; a process that was killed may have left half of one."""
    if not index.is_file():
        return []
    whole, _, _ = index.read_bytes().rpartition(b"\n")
    return [line + b"\n" for line in whole.split(b"\n")] if whole else []


def read_head(packed: Path) -> dict[str, Any]:
    """What was packed: ``dataset``, ``split``, ``source`` and ``is_complete``."""
    try:
        head = json.loads((packed / HEAD).read_text("utf-8"))
    except (ValueError, OSError):
        head = None
    if not isinstance(head, dict) or not head.keys() >= HEAD_KEYS or head["version"] != VERSION:
        raise DataError(f"{packed / HEAD}: can't be used; remove {packed} and pack again")
    return head


def piece_name(number: int) -> str:
    """The file name of a piece."""
    return f"piece-{number:05d}.bin"


# Each open map costs a file descriptor, of which a process may have 256.
@lru_cache(maxsize=32)
def _opened(piece: Path) -> NDArray[np.uint8]:
    return np.memmap(piece, np.uint8, "r")
