"""EXIF blocks: made true for a restored photo, and made from the fields of a TIFF file."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mirnet.imaging.directories import (
    CHILDREN,
    EXIF_DIRECTORY,
    LONG,
    RATIONAL,
    SHORT,
    Directory,
    Field,
    Layout,
    Reader,
    serialize,
)

PREFIX = b"Exif\0\0"
"""What JPEG, and some writers of other formats, put before a block."""

ORIENTATION = 0x0112
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
WIDTHS, HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
THUMBNAILS = ((0x0201, 0x0202), (0x0111, 0x0117))
"""Where a thumbnail stands and its size: a JPEG, or bare pixels."""
PER_MILLIMETRE = {2: 1 / 25.4, 3: 1 / 10}
"""Units of resolution: inch, centimetre."""


def settled(block: bytes, height: int, width: int) -> bytes:
    """The same EXIF for an upright photo of this size, without its thumbnail.

    Orientation and sizes are set where the block names them; the thumbnail shows the photo as it
    was, and perhaps sideways. All other bytes stay where they are: maker notes point to each
    other by position. What can't be parsed is returned as it is.
    """
    edited = bytearray(block)
    try:
        layout = Layout.of(block)
        if layout.is_big:
            return block
        (main,) = struct.unpack_from(layout.offset, block, 4)
        values = {ORIENTATION: 1}
        values |= dict.fromkeys(WIDTHS, width) | dict.fromkeys(HEIGHTS, height)
        for directory in (main, _pointer(block, layout, main, EXIF_DIRECTORY)):
            for tag, at in _entries(block, layout, directory) if directory else ():
                if tag in values:
                    kind = SHORT if values[tag] < 1 << 16 else LONG
                    form = "HHLHH" if kind == SHORT else "HHLL"
                    rest = (values[tag], 0) if kind == SHORT else (values[tag],)
                    struct.pack_into(layout.order + form, edited, at, tag, kind, 1, *rest)
        return _without_thumbnail(edited, layout, main)
    except (ValueError, struct.error):
        return bytes(edited)


def orientation(block: bytes | None) -> int:
    """The orientation, 1–8; 1 where the block names none."""
    return known_orientation((_numbers(main_directory(block), ORIENTATION) or (1,))[0])


def known_orientation(value: int) -> int:
    """The same if it is one of the eight; else 1."""
    return value if 1 <= value <= 8 else 1


def resolution(main: Directory) -> tuple[float, float] | None:
    """Pixels per millimetre across and down the stored pixels; None where a directory says none."""
    unit = PER_MILLIMETRE.get((_numbers(main, RESOLUTION_UNIT) or (2,))[0])
    across, down = (_numbers(main, tag) for tag in (X_RESOLUTION, Y_RESOLUTION))
    if not unit or len(across) != 2 or len(down) != 2 or 0 in (*across, *down):
        return None
    return across[0] / across[1] * unit, down[0] / down[1] * unit


def resolution_fields(value: tuple[float, float] | None) -> dict[int, Field]:
    """The fields that say a resolution in pixels per millimetre; none for None."""
    if value is None:
        return {}
    across, down = (
        Field(RATIONAL, 1, struct.pack("<LL", min(round(each * 25.4 * 1000), 2**32 - 1), 1000))
        for each in value
    )
    inch = Field(SHORT, 1, struct.pack("<H", 2))
    return {X_RESOLUTION: across, Y_RESOLUTION: down, RESOLUTION_UNIT: inch}


def repaired(block: bytes) -> tuple[bytes | None, tuple[int, ...]]:
    """A block that can be parsed in little time, and the tags of the directories that it lacks.

    A block is returned as it is, fields that point to nowhere included, unless its directories
    point to each other or are too many: maker notes point to each other by position, and a new
    block moves them. None: nothing of it can be parsed.
    """
    try:
        reader = Reader(block)
        main = reader.main()
    except ValueError:
        return None, ()
    if reader.layout.is_big:
        return None, ()
    lost = tuple(dict.fromkeys(tag for tag in reader.faults if tag in (0, *CHILDREN)))
    return from_directory(main) if lost else block, lost


def from_directory(directory: Directory) -> bytes:
    """A block of its own with these fields."""
    return b"II*\0" + struct.pack("<L", 8) + serialize(directory, 8)


def main_directory(block: bytes | None) -> Directory:
    """The main directory of a block; an empty one if there is none."""
    try:
        reader = Reader(block or b"")
        return Directory() if reader.layout.is_big else reader.main()
    except ValueError:
        return Directory()


def _numbers(directory: Directory, tag: int) -> tuple[int, ...]:
    entry = directory.fields.get(tag)
    return entry.numbers() if entry else ()


def _entries(block: bytes, layout: Layout, start: int) -> Iterator[tuple[int, int]]:
    """The tags of a directory, each with where its entry stands."""
    (count,) = struct.unpack_from(layout.count, block, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        yield struct.unpack_from(layout.order + "H", block, at)[0], at


def _pointer(block: bytes, layout: Layout, start: int, tag: int) -> int | None:
    """The last four bytes of an entry, as a number; None if there is no such entry."""
    for found, at in _entries(block, layout, start):
        if found == tag:
            return int(struct.unpack_from(layout.offset, block, at + 8)[0])
    return None


def _without_thumbnail(block: bytearray, layout: Layout, main: int) -> bytes:
    """Cut the directory of the thumbnail off, and wipe its pixels or cut them off too."""
    (count,) = struct.unpack_from(layout.count, block, main)
    following = main + 2 + 12 * count
    (start,) = struct.unpack_from(layout.offset, block, following)
    struct.pack_into(layout.offset, block, following, 0)
    if not start:
        return bytes(block)
    thumbnail = Reader(bytes(block)).directory(start)
    for where, size in THUMBNAILS:
        pieces = zip(_numbers(thumbnail, where), _numbers(thumbnail, size), strict=False)
        for first, length in sorted(pieces, reverse=True):
            # Pixels stand behind their directory; what stands before it is somebody else's.
            if start < first and first + length <= len(block):
                if first + length >= len(block) - 1:
                    del block[first:]
                else:
                    block[first : first + length] = bytes(length)
    return bytes(block)
