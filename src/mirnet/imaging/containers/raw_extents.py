"""Whether the values of a RAW's sensor lie inside its file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice

from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers.boxes import boxes
from mirnet.imaging.containers.tiff import PLACES, SUBDIRECTORIES, missing_pieces
from mirnet.imaging.directories import Directory, Reader

CUT = "it ends before the sensor's values do"
WIDTH, HEIGHT, FORMAT, VALUES = 2, 3, 45, 280
"""Panasonic's tags: of the sensor's values, their sides, how they are stored, and where."""
BYTES_PER_PIXEL = {8: 0.25}
"""The least that Panasonic's format stores; all others store a byte at least."""
FUJIFILM_VALUES = slice(100, 108)
"""Where a RAF says where the values stand, and how many bytes they are."""
OF_PLACES = frozenset(tag for _, *tags in PLACES for tag in tags)
MOST_DIRECTORIES = 12


def of_tiff(data: Buffer) -> str | None:
    """What says that values lie beyond the end of a file that is laid out like TIFF."""
    reader = Reader(data, only=OF_PLACES | {SUBDIRECTORIES})
    faults = (missing_pieces(each, len(data)) for each in _directories(reader))
    return next(filter(None, islice(faults, MOST_DIRECTORIES)), None)


def of_panasonic(data: Buffer) -> str | None:
    """The same of a RW2, under TIFF's signature; its values reach to its end."""
    fields = Reader(data, only=frozenset((WIDTH, HEIGHT, FORMAT, VALUES))).main().fields
    width, height, layout, at = (
        (fields[tag].numbers() or (0,))[0] if tag in fields else 0
        for tag in (WIDTH, HEIGHT, FORMAT, VALUES)
    )
    least = width * height * BYTES_PER_PIXEL.get(layout, 1)
    return CUT if at + least > len(data) else None


def of_fujifilm(data: Buffer) -> str | None:
    """The same of a RAF."""
    places = data[FUJIFILM_VALUES]
    return CUT if len(places) < 8 or sum(struct.unpack(">LL", places)) > len(data) else None


def of_boxes(data: Buffer) -> str | None:
    """The same of a CR3."""
    try:
        for _ in boxes(data, 0, len(data)):
            pass
    except (ValueError, struct.error):
        return CUT
    return None


def _directories(reader: Reader) -> Iterator[Directory]:
    """The main directory, those below it, and those behind it."""
    main = reader.main()
    yield main
    try:
        if SUBDIRECTORIES in main.fields:
            yield from map(reader.directory, main.fields[SUBDIRECTORIES].numbers())
        yield from reader.following()
    except ValueError:  # which LibRaw may do without
        return
