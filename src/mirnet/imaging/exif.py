"""EXIF as a TIFF structure: set it upright, take it out of a TIFF file, put it into one.

libvips neither reads nor writes the EXIF of TIFF files, and cuts their IPTC short. An EXIF block
is itself laid out like a TIFF file (a header, then directories of fields), so one reader and one
writer serve both.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field

ORIENTATION, IPTC = 0x0112, 0x83BB
SHORT, LONG, UNDEFINED = 3, 4, 7

# The directories that hang below another: EXIF, GPS, and EXIF's interoperability.
CHILDREN = (0x8769, 0x8825, 0xA005)
# The fields of the main directory that describe the photo and not how the file stores it:
# description, make, model, software, time, artist, copyright.
DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)

# Type → (bytes per item, items per value): a rational is two longs.
TYPES = {
    1: (1, 1), 2: (1, 1), 3: (2, 1), 4: (4, 1), 5: (4, 2), 6: (1, 1), 7: (1, 1),
    8: (2, 1), 9: (4, 1), 10: (4, 2), 11: (4, 1), 12: (8, 1), 13: (4, 1),
}  # fmt: skip

Buffer = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a directory; ``value`` holds ``count`` values, little-endian."""

    kind: int
    count: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Directory:
    """Fields and the directories below, by tag."""

    fields: dict[int, Field] = field(default_factory=dict)
    children: dict[int, Directory] = field(default_factory=dict)


def upright(exif: bytes) -> bytes:
    """The same EXIF with orientation 1, if it names one; all other bytes stay where they are.

    Maker notes point to each other by position, so nothing may move. EXIF that can't be parsed is
    returned as it is.
    """
    try:
        order = _byte_order(exif)
        (start,) = struct.unpack_from(f"{order}L", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            if struct.unpack_from(f"{order}H", exif, at) == (ORIENTATION,):
                entry = struct.pack(f"{order}HHLHH", ORIENTATION, SHORT, 1, 1, 0)
                return exif[:at] + entry + exif[at + 12 :]
    except (ValueError, struct.error):
        pass
    return exif


def from_tiff(tiff: Buffer) -> tuple[bytes | None, bytes | None]:
    """The EXIF of a TIFF file as a block of its own, and its IPTC records; None for what it lacks.

    Args:
        tiff: the whole file. In a BigTIFF nothing is found.
    """
    try:
        main = _parse(tiff)
    except (ValueError, struct.error):
        return None, None
    iptc = main.fields[IPTC].value if IPTC in main.fields else None
    described = Directory(_descriptive(main), main.children)
    if not described.fields and not described.children:
        return None, iptc
    return b"II*\0" + struct.pack("<L", 8) + _serialize(described, 8), iptc


def into_tiff(tiff: bytes, *, exif: bytes | None, iptc: bytes | None) -> bytes:
    """A TIFF file with EXIF and IPTC added.

    Args:
        tiff: a whole little-endian file with one page. Another kind is returned as it is.
        exif: the block; left out if it can't be parsed.
        iptc: IPTC-IIM records.
    """
    if not tiff.startswith(b"II*\0"):
        return tiff
    main = _parse(tiff)
    try:
        added = _parse(exif) if exif else Directory()
    except (ValueError, struct.error):
        added = Directory()
    fields = _descriptive(added) | main.fields
    if iptc:
        fields[IPTC] = Field(UNDEFINED, len(iptc), iptc)
    # Appended, with the header pointing there, so that the offsets of the pixels stay true.
    padded = tiff + bytes(len(tiff) % 2)
    directory = _serialize(Directory(fields, added.children), len(padded))
    return padded[:4] + struct.pack("<L", len(padded)) + padded[8:] + directory


def _descriptive(directory: Directory) -> dict[int, Field]:
    return {tag: entry for tag, entry in directory.fields.items() if tag in DESCRIPTIVE}


def _byte_order(data: Buffer) -> str:
    orders = {b"II*\0": "<", b"MM\0*": ">"}
    try:
        return orders[bytes(data[:4])]
    except KeyError:
        raise ValueError("not a TIFF structure") from None


def _parse(data: Buffer) -> Directory:
    """The main directory; ValueError or struct.error if ``data`` is damaged."""
    order = _byte_order(data)
    (start,) = struct.unpack_from(f"{order}L", data, 4)
    return _parse_directory(data, order, start, depth=0)


def _parse_directory(data: Buffer, order: str, start: int, depth: int) -> Directory:
    if depth > 2:
        raise ValueError("directories point to each other in a circle")
    directory = Directory()
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(f"{order}HHL", data, at)
        if tag in CHILDREN:
            (below,) = struct.unpack_from(f"{order}L", data, at + 8)
            directory.children[tag] = _parse_directory(data, order, below, depth + 1)
        elif tag == IPTC and kind in TYPES:
            # Bytes, though many writers call them longs.
            size = number * TYPES[kind][0]
            directory.fields[tag] = _parse_field(data, order, at, UNDEFINED, size)
        elif kind in TYPES:
            directory.fields[tag] = _parse_field(data, order, at, kind, number)
    return directory


def _parse_field(data: Buffer, order: str, at: int, kind: int, count: int) -> Field:
    item_size, per_value = TYPES[kind]
    items = count * per_value
    size = items * item_size
    position = at + 8 if size <= 4 else struct.unpack_from(f"{order}L", data, at + 8)[0]
    raw = bytes(data[position : position + size])
    if len(raw) != size:
        raise ValueError("a field points outside of the data")
    code = {1: "B", 2: "H", 4: "L", 8: "Q"}[item_size]
    value = struct.pack(f"<{items}{code}", *struct.unpack(f"{order}{items}{code}", raw))
    return Field(kind, count, value)


def _serialize(directory: Directory, start: int) -> bytes:
    """A directory, its values and those below, little-endian, to stand at byte ``start``."""
    tags = sorted(directory.fields.keys() | directory.children.keys())
    table = struct.pack("<H", len(tags))
    body_start = start + 2 + 12 * len(tags) + 4
    body = b""
    for tag in tags:
        position = body_start + len(body)
        if tag in directory.children:
            table += struct.pack("<HHLL", tag, LONG, 1, position)
            body += _serialize(directory.children[tag], position)
            continue
        entry = directory.fields[tag]
        table += struct.pack("<HHL", tag, entry.kind, entry.count)
        if len(entry.value) <= 4:
            table += entry.value.ljust(4, b"\0")
        else:
            table += struct.pack("<L", position)
            body += entry.value + bytes(len(entry.value) % 2)
    return table + bytes(4) + body
