"""Boxes of an ISO media file (ISO/IEC 14496-12), and the items that its ``meta`` box lists."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers.contents import MOST_BYTES, UnusableError

DERIVED = (b"grid", b"iovl", b"iden")
"""Pictures that are put together from others."""
DAMAGED = "is truncated or damaged in its header; get a fresh copy"
MOST_BOXES = 4096
"""In one box."""
MOST_EXTENTS, MOST_NUMBERS = 4096, 1 << 16
"""Pieces of all items; and the items that others name, and the properties that they have."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its type, and where its content starts and ends."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Item:
    """Something that the file holds: a picture, or metadata."""

    kind: bytes
    content_type: bytes
    at: int
    """Where the item's type stands."""
    is_hidden: bool = False
    """Whether it is not to be shown by itself."""
    encoding: bytes = b""
    """How its content is packed."""


class Reference(NamedTuple):
    """An item that names others: what it is for them, or made of."""

    kind: bytes
    item: int
    others: tuple[int, ...]


@dataclass(slots=True)
class Meta:
    """What the ``meta`` box says of the items of a file.

    Attributes:
        primary: the number of the picture to show.
        items: by number.
        extents: where the content of each stands: places and lengths.
        properties: all there are.
        used: which of them, from 1, each item has.
        references: how items belong to each other.
    """

    primary: int = 0
    items: dict[int, Item] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    properties: list[Box] = field(default_factory=list)
    used: dict[int, list[int]] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)

    @property
    def is_premultiplied(self) -> bool:
        """Whether the primary picture is multiplied with its alpha."""
        beside = {
            each.item
            for each in self.references
            if each.kind == b"auxl" and self.primary in each.others
        }
        return any(
            each[:2] == (b"prem", self.primary) and beside.intersection(each.others)
            for each in self.references
        )

    def coded(self) -> int | None:
        """The primary picture, or the first one that it is put together from; None if unsound."""
        number = self.primary
        for _ in range(len(DERIVED)):
            item = self.items.get(number)
            if item is None or item.kind not in DERIVED:
                break
            made_of = (r.others for r in self.references if r[:2] == (b"dimg", number))
            number = next((others[0] for others in made_of if others), 0)
        return number if number in self.items else None

    def properties_of(self, number: int) -> Iterator[Box]:
        """The properties of an item, in the order in which they apply."""
        for index in self.used.get(number, ()):
            if 0 < index <= len(self.properties):
                yield self.properties[index - 1]


def boxes(data: Buffer, start: int, end: int) -> Iterator[Box]:
    """The boxes between two places; ValueError where they don't fit."""
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack(">L4s", data[start : start + 8])
        head = 8
        if size == 1:
            (size,) = struct.unpack(">Q", data[start + 8 : start + 16])
            head = 16
        stop = end if size == 0 else start + size
        if stop > end or stop < start + head:
            raise ValueError("a box runs past the end")
        yield Box(kind, start + head, stop)
        start = stop


def sound_meta(data: Buffer) -> Meta:
    """What the ``meta`` box says; UnusableError if it is damaged."""
    try:
        return read_meta(data)
    except (struct.error, IndexError, ValueError) as error:
        raise UnusableError(DAMAGED) from error


def read_meta(data: Buffer) -> Meta:
    """What the ``meta`` box says; ValueError or struct.error if it is damaged."""
    top = next((box for box in boxes(data, 0, len(data)) if box.kind == b"meta"), None)
    if top is None:
        raise ValueError("no meta box")
    if top.end - top.start > MOST_BYTES:
        raise ValueError("a meta box out of all proportion")
    meta = Meta()
    parts = {box.kind: box for box in boxes(data, top.start + 4, top.end)}
    primary = data[parts[b"pitm"].start : parts[b"pitm"].end] if b"pitm" in parts else b""
    meta.primary = int.from_bytes(primary[4:], "big")
    if b"iinf" in parts:
        _read_items(data, parts[b"iinf"], meta)
    if b"iloc" in parts:
        _read_places(data, parts[b"iloc"], parts.get(b"idat"), meta)
    if b"iref" in parts:
        meta.references = list(_references(data, parts[b"iref"]))
    if b"iprp" in parts:
        _read_properties(data, parts[b"iprp"], meta)
    return meta


def _read_items(data: Buffer, box: Box, meta: Meta) -> None:
    wide = data[box.start : box.start + 1] != b"\0"
    for entry in boxes(data, box.start + (8 if wide else 6), box.end):
        content = data[entry.start : entry.end]
        if entry.kind != b"infe" or content[0] < 2:
            continue
        size = 2 if content[0] == 2 else 4
        number = int.from_bytes(content[4 : 4 + size], "big")
        at = 4 + size + 2
        rest = content[at + 4 :].split(b"\0")
        content_type = rest[1] if len(rest) > 1 else b""
        meta.items[number] = Item(
            content[at : at + 4],
            content_type,
            entry.start + at,
            is_hidden=bool(content[3] & 1),
            encoding=rest[2] if len(rest) > 2 else b"",
        )


def _references(data: Buffer, box: Box) -> Iterator[Reference]:
    size = 4 if data[box.start : box.start + 1] != b"\0" else 2
    if (box.end - box.start) // size > MOST_NUMBERS:
        raise ValueError("references out of all proportion")
    for entry in boxes(data, box.start + 4, box.end):
        content = data[entry.start : entry.end]
        number, *others = (
            int.from_bytes(content[at : at + size], "big")
            for at in (0, *range(size + 2, len(content), size))
        )
        yield Reference(entry.kind, number, tuple(others))


def _read_places(data: Buffer, box: Box, idat: Box | None, meta: Meta) -> None:
    content = data[box.start : box.end]
    version = content[0]
    sizes = [content[4] >> 4, content[4] & 15, content[5] >> 4, content[5] & 15 if version else 0]
    at, room = 6, MOST_EXTENTS

    def take(size: int) -> int:
        nonlocal at
        if at + size > len(content):
            raise ValueError("the places of items are cut")
        at += size
        return int.from_bytes(content[at - size : at], "big")

    for _ in range(min(take(4 if version == 2 else 2), MOST_BOXES)):
        number = take(4 if version == 2 else 2)
        method = take(2) & 15 if version else 0
        take(2)
        base = take(sizes[2])
        if method == 1 and idat is not None:
            base += idat.start
        extents = []
        count = take(2)
        room -= count
        if room < 0:
            raise ValueError("more places than a photo has")
        for _ in range(count):
            take(sizes[3])
            offset, length = take(sizes[0]), take(sizes[1])
            extents.append((base + offset, length))
        meta.extents[number] = extents if method in (0, 1) else []


def _read_properties(data: Buffer, box: Box, meta: Meta) -> None:
    for part in boxes(data, box.start, box.end):
        if part.kind == b"ipco":
            meta.properties = list(boxes(data, part.start, part.end))
        if part.kind == b"ipma":
            if part.end - part.start > MOST_NUMBERS:
                raise ValueError("properties out of all proportion")
            meta.used |= _associations(data[part.start : part.end])


def _associations(content: bytes) -> dict[int, list[int]]:
    wide_items, wide_numbers = content[0] >= 1, content[3] & 1
    size, step = 4 if wide_items else 2, 2 if wide_numbers else 1
    found: dict[int, list[int]] = {}
    at = 8
    for _ in range(min(int.from_bytes(content[4:8], "big"), MOST_BOXES)):
        item = int.from_bytes(content[at : at + size], "big")
        count, at = content[at + size], at + size + 1
        found[item] = [
            int.from_bytes(content[i : i + step], "big") & (0x7FFF if wide_numbers else 0x7F)
            for i in range(at, at + count * step, step)
        ]
        at += count * step
    return found
