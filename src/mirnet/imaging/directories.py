"""TIFF directories: the fields of TIFF files and of EXIF blocks, read and written.

An EXIF block is itself laid out like a TIFF file (a header, then directories of fields), so one
reader and one writer serve both.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mirnet.imaging.buffer import Buffer

SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16

EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
CHILDREN = (EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY)
"""Fields that point to a directory below."""

# Type → (bytes per item, items per value): a rational is two longs. 16–18 are BigTIFF's.
TYPES = {
    1: (1, 1), 2: (1, 1), 3: (2, 1), 4: (4, 1), 5: (4, 2), 6: (1, 1), 7: (1, 1),
    8: (2, 1), 9: (4, 1), 10: (4, 2), 11: (4, 1), 12: (8, 1), 13: (4, 1),
    16: (8, 1), 17: (8, 1), 18: (8, 1),
}  # fmt: skip

# Far more than any camera writes. Files that are made to be slow name more.
MOST_DIRECTORIES = 16
MOST_FIELDS = 2048
MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a directory; ``value`` holds ``count`` values, little-endian."""

    kind: int
    count: int
    value: bytes

    def numbers(self) -> tuple[int, ...]:
        """The values of a field of whole numbers, or the terms of its fractions."""
        size = TYPES[self.kind][0]
        return tuple(np.frombuffer(self.value, f"<u{size}").tolist())


@dataclass(frozen=True, slots=True)
class Directory:
    """Fields and the directories below, by tag."""

    fields: dict[int, Field] = field(default_factory=dict)
    children: dict[int, Directory] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """How numbers and entries are stored."""

    order: str
    """``<`` or ``>``, as ``struct`` has it."""
    is_big: bool = False
    """BigTIFF: 8-byte offsets and counts."""

    @property
    def offset(self) -> str:
        """The format of an offset and of a field's count."""
        return self.order + ("Q" if self.is_big else "L")

    @property
    def count(self) -> str:
        """The format of the number of entries that begins a directory."""
        return self.order + ("Q" if self.is_big else "H")

    @property
    def entry_size(self) -> int:
        """Bytes of an entry: tag, type, count, and the value or its offset."""
        return 20 if self.is_big else 12

    @property
    def inline(self) -> int:
        """The longest value that stands in the entry itself, in bytes."""
        return 8 if self.is_big else 4

    @property
    def start(self) -> int:
        """Where the header names the first directory."""
        return 8 if self.is_big else 4

    @classmethod
    def of(cls, data: Buffer) -> Layout:
        """The layout that a header says; ValueError if it is none of TIFF's."""
        try:
            return SIGNATURES[data[0:4]]
        except KeyError:
            raise ValueError("not a TIFF structure") from None


LITTLE = Layout("<")
SIGNATURES = {
    b"II*\0": LITTLE, b"MM\0*": Layout(">"),
    b"II+\0": Layout("<", is_big=True), b"MM\0+": Layout(">", is_big=True),
}  # fmt: skip
"""How a structure begins."""


class Reader:
    """Reads the main directory and those below it.

    A field that points outside of the data is left out and its tag noted in ``faults``, as is all
    that is beyond the bounds of this module; a field of an unknown type is passed over.

    Attributes:
        faults: the tags of what was left out; 0 for the rest of a directory.
        large: the sizes of fields that were not read since they are larger than asked for, by tag.
    """

    def __init__(
        self,
        data: Buffer,
        *,
        only: frozenset[int] | None = None,
        most: int = MOST_BYTES,
        unlimited: frozenset[int] = frozenset(),
    ) -> None:
        """Read from ``data``.

        Args:
            data: the structure, from its header on.
            only: the tags to read; all of them unless told.
            most: the largest field to read, in bytes.
            unlimited: tags that this is not for.
        """
        self.layout = Layout.of(data)
        self.faults: list[int] = []
        self.large: dict[int, int] = {}
        self._data = data
        self._only, self._most, self._unlimited = only, most, unlimited
        self._visited: set[int] = set()
        self._fields = MOST_FIELDS
        self._bytes = MOST_BYTES

    def main(self) -> Directory:
        """The main directory; ValueError if there is none."""
        (start,) = self._unpack(self.layout.offset, self.layout.start)
        return self.directory(start)

    def following(self) -> Iterator[Directory]:
        """The directories that the main one is followed by: further pages, or thumbnails."""
        (start,) = self._unpack(self.layout.offset, self.layout.start)
        while True:
            (count,) = self._unpack(self.layout.count, start)
            end = start + struct.calcsize(self.layout.count) + count * self.layout.entry_size
            (start,) = self._unpack(self.layout.offset, end)
            if not start or start in self._visited:
                return
            yield self.directory(start)

    def directory(self, start: int) -> Directory:
        """The directory at a place; ValueError if there is none, or if it was read before."""
        directory = Directory()
        if start in self._visited or len(self._visited) >= MOST_DIRECTORIES:
            raise ValueError("directories point to each other")
        self._visited.add(start)
        (count,) = self._unpack(self.layout.count, start)
        at = start + struct.calcsize(self.layout.count)
        for index in range(count):
            self._fields -= 1
            if self._fields < 0:
                self.faults.append(0)
                break
            entry = at + index * self.layout.entry_size
            try:
                self._entry(directory, entry)
            except ValueError:
                tag = self._data[entry : entry + 2]
                if len(tag) < 2:  # the directory itself is cut
                    self.faults.append(0)
                    break
                self.faults.append(struct.unpack(self.layout.order + "H", tag)[0])
        return directory

    def _entry(self, directory: Directory, at: int) -> None:
        tag, kind = self._unpack(self.layout.order + "HH", at)
        if (self._only is not None and tag not in self._only) or kind not in TYPES:
            return
        (count,) = self._unpack(self.layout.offset, at + 4)
        value_at = at + self.layout.entry_size - self.layout.inline
        if tag in CHILDREN:
            (below,) = self._unpack(self.layout.offset, value_at)
            directory.children[tag] = self.directory(below)
            return
        item_size, per_value = TYPES[kind]
        size = count * per_value * item_size
        if size > self.layout.inline:
            (value_at,) = self._unpack(self.layout.offset, value_at)
        if size > self._most and tag not in self._unlimited:
            self.large[tag] = size
            return
        if size > self._bytes:
            raise ValueError("more than the bounds allow")
        raw = self._data[value_at : value_at + size]
        if len(raw) != size:
            raise ValueError("a field points outside of the data")
        self._bytes -= size
        directory.fields[tag] = Field(kind, count, _little_endian(raw, kind, self.layout))

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        size = struct.calcsize(form)
        raw = self._data[at : at + size]
        if len(raw) != size:
            raise ValueError("points outside of the data")
        return struct.unpack(form, raw)


def _little_endian(raw: bytes, kind: int, layout: Layout) -> bytes:
    """Values of a type from a layout's byte order to little-endian, or back."""
    size = TYPES[kind][0]
    if layout.order == "<" or size == 1:
        return raw
    return np.frombuffer(raw, f">u{size}").byteswap().tobytes()


def serialize(directory: Directory, start: int, layout: Layout = LITTLE) -> bytes:
    """A directory, its values and those below, to stand at byte ``start``."""
    tags = sorted(directory.fields.keys() | directory.children.keys())
    table = [struct.pack(layout.count, len(tags))]
    entry_head, pointer = layout.order + "HH" + layout.offset[1], layout.offset
    position = start + len(table[0]) + layout.entry_size * len(tags) + layout.inline
    body: list[bytes] = []
    for tag in tags:
        if tag in directory.children:
            kind = LONG8 if layout.is_big else LONG
            table.append(struct.pack(entry_head, tag, kind, 1) + struct.pack(pointer, position))
            value = serialize(directory.children[tag], position, layout)
        else:
            entry = directory.fields[tag]
            table.append(struct.pack(entry_head, tag, entry.kind, entry.count))
            value = _little_endian(entry.value, entry.kind, layout)
            if len(value) <= layout.inline:
                table.append(value.ljust(layout.inline, b"\0"))
                continue
            table.append(struct.pack(pointer, position))
        body.append(value + bytes(len(value) % 2))
        position += len(body[-1])
    return b"".join([*table, bytes(layout.inline), *body])
