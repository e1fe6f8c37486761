"""RAW: what the files of cameras hold beside the values of their sensors.

Most are laid out like TIFF, some under another signature.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mirnet.imaging import exif
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers import jpeg, raw_extents
from mirnet.imaging.containers.boxes import Box, boxes
from mirnet.imaging.containers.contents import MOST_BYTES, Contents, UnusableError
from mirnet.imaging.containers.tiff import IPTC, MOST_FIELD, XMP, lost_fields
from mirnet.imaging.directories import (
    EXIF_DIRECTORY,
    GPS_DIRECTORY,
    SHORT,
    Directory,
    Field,
    Reader,
)
from mirnet.imaging.metadata import Metadata

TIFF_LIKE = {b"IIRO": b"II*\0", b"IIRS": b"II*\0", b"MMOR": b"MM\0*", b"IIU\0": b"II*\0"}
"""Signatures of Olympus and Panasonic, and TIFF's in their place."""
PANASONIC, PANASONIC_JPEG = b"IIU\0", 46
DNG_PRIVATE = 50740
FUJIFILM = b"FUJIFILMCCD-RAW"
CANON = b"crx "
CANON_METADATA = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
CANON_DIRECTORIES = {b"CMT1": 0, b"CMT2": EXIF_DIRECTORY, b"CMT4": GPS_DIRECTORY}
"""Boxes with a structure of their own, and what its main directory is in EXIF."""
CANON_MAKER_NOTES = b"CMT3"
CANON_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
DESCRIBING = frozenset((
    270, 271, 272, exif.ORIENTATION, 305, 306, 315, 18246, 18249, 33432, *range(40091, 40096),
))  # fmt: skip
"""Description, make, model, orientation, software, time, artist, ratings, copyright, and Windows'
title, comment, author, keywords and subject. All else in the main directory tells of the values of
the sensor, or of the preview, but for:"""
EXPOSURE = frozenset((33434, 33437, 34850, 34855, 36867, *range(37377, 37387)))
"""How the photo was taken, which TIFF/EP has in the main directory, and EXIF in its own."""
OF_EXIF = range(33432, 42241)
"""Tags of its directory, maker notes included."""
OF_OTHERS = frozenset((33723, 34377, 34675, *range(37387, 37400)))
"""Those among them that are none of EXIF's."""
COLOUR_SPACE = 0xA001
REST = 0
"""In a reader's faults, for what it had no room for."""
SRGB = Field(SHORT, 1, struct.pack("<H", 1))
NO_XMP = "XMP was left out: it may tell of another development"
NO_MAKER_NOTES = "maker notes were left out: CR3 has them apart from EXIF"
NO_PRIVATE_DATA = "DNG's private data, which may hold maker notes, were left out"
NO_EXIF = "EXIF was not found in this kind of RAW; left out"


def inspect(data: Buffer) -> Contents:
    """What a RAW file holds; its size is the decoder's to tell."""
    try:
        found = _found(data)
    except (ValueError, struct.error, UnusableError):
        found = _Found()
    notes = (NO_EXIF if found.exif is None else "", NO_XMP if found.has_xmp else "", *found.lost)
    return Contents(
        parts=((0, len(data)),),
        metadata=Metadata(exif=found.exif, iptc=found.iptc),
        damage=_damage(data),
        notes=tuple(filter(None, notes)),
    )


def _damage(data: Buffer) -> str | None:
    """What says that values of the sensor are missing."""
    head = data[0:16]
    if head.startswith(FUJIFILM):
        return raw_extents.of_fujifilm(data)
    if head[8:12] == CANON:
        return raw_extents.of_boxes(data)
    try:
        if head.startswith(PANASONIC):
            return raw_extents.of_panasonic(_as_tiff(data))
        return raw_extents.of_tiff(_as_tiff(data))
    except (ValueError, struct.error):
        return None


class _Found(NamedTuple):
    """The metadata that belong to the photo, whether there is XMP, and notes of what was lost."""

    exif: bytes | None = None
    iptc: bytes | None = None
    has_xmp: bool = False
    lost: tuple[str, ...] = ()


def _found(data: Buffer) -> _Found:
    head = data[0:16]
    if head.startswith(FUJIFILM):
        return _fujifilm(data)
    if head[8:12] == CANON:
        return _canon(data)
    reader = Reader(_as_tiff(data), most=MOST_FIELD)
    main = reader.main()
    if head.startswith(PANASONIC) and PANASONIC_JPEG in main.fields | reader.large:
        inside = _panasonic(data)
        if inside.exif:
            return inside
    iptc = main.fields[IPTC].value if IPTC in main.fields else None
    has_xmp = XMP in main.fields or XMP in reader.large
    lost = _lost(reader)
    if DNG_PRIVATE in main.fields or DNG_PRIVATE in reader.large:
        lost += (NO_PRIVATE_DATA,)
    return _Found(_belonging(main), iptc or None, has_xmp, lost)


def _panasonic(data: Buffer) -> _Found:
    """Of a RW2 with a JPEG inside, which has more metadata of the photo than the file around it."""
    fields = Reader(_as_tiff(data), only=frozenset((PANASONIC_JPEG,))).main().fields
    try:
        return _of_jpeg(fields[PANASONIC_JPEG].value if fields else b"")
    except (ValueError, struct.error, IndexError, UnusableError):
        return _Found()


def _lost(reader: Reader) -> tuple[str, ...]:
    """Notes of what a reader left out of that which describes the photo."""
    large = {tag: size for tag, size in reader.large.items() if _is_carried(tag)}
    return lost_fields(filter(_is_carried, reader.faults), large)


def _is_carried(tag: int) -> bool:
    return (
        tag in DESCRIBING
        or tag in (REST, GPS_DIRECTORY, IPTC)
        or (tag in OF_EXIF and tag not in OF_OTHERS)
    )


def _belonging(main: Directory) -> bytes | None:
    """An EXIF block of what describes the photo, developed to sRGB; None if nothing does."""
    fields = {tag: entry for tag, entry in main.fields.items() if tag in DESCRIBING}
    inner = {tag: entry for tag, entry in main.fields.items() if tag in EXPOSURE}
    children = {}
    if GPS_DIRECTORY in main.children:
        children[GPS_DIRECTORY] = main.children[GPS_DIRECTORY]
    if EXIF_DIRECTORY in main.children:
        inner |= main.children[EXIF_DIRECTORY].fields
    if inner:
        # Without the directory of interoperability, which may say Adobe RGB once more.
        children[EXIF_DIRECTORY] = Directory(inner | {COLOUR_SPACE: SRGB})
    return exif.from_directory(Directory(fields, children)) if fields or children else None


def _fujifilm(data: Buffer) -> _Found:
    """Of a RAF, whose JPEG has the metadata of the photo."""
    start, size = struct.unpack(">LL", data[84:92])
    return _of_jpeg(data[start : start + min(size, MOST_BYTES)])


def _of_jpeg(content: bytes) -> _Found:
    inside = jpeg.inspect(content).metadata
    has_xmp = inside.xmp is not None
    if not inside.exif:
        return _Found(None, inside.iptc, has_xmp)
    reader = Reader(inside.exif, most=MOST_FIELD)
    return _Found(_belonging(reader.main()), inside.iptc, has_xmp, _lost(reader))


def _canon(data: Buffer) -> _Found:
    """Of a CR3, whose main, EXIF and GPS directories are structures apart, in boxes."""
    directories: dict[bytes, Directory] = {}
    lost: list[str] = []
    has_xmp = False
    for box in boxes(data, 0, len(data)):
        has_xmp |= _begins(data, box, b"uuid", CANON_XMP)
        for inner in _inside(data, box, b"moov", b""):
            for part in _inside(data, inner, b"uuid", CANON_METADATA):
                if part.kind in CANON_DIRECTORIES:
                    content = data[part.start : min(part.end, part.start + MOST_BYTES)]
                    reader = Reader(content, most=MOST_FIELD)
                    directories[part.kind] = reader.main()
                    lost += _lost(reader)
                elif part.kind == CANON_MAKER_NOTES:
                    lost.append(NO_MAKER_NOTES)
    children = {
        tag: directories[kind]
        for kind, tag in CANON_DIRECTORIES.items()
        if tag and kind in directories
    }
    main = directories.get(b"CMT1", Directory())
    block = _belonging(Directory(main.fields, children))
    return _Found(block, None, has_xmp, tuple(dict.fromkeys(lost)))


def _inside(data: Buffer, box: Box, kind: bytes, head: bytes) -> Iterator[Box]:
    """The boxes in one, if it is of a kind and its content begins with ``head``."""
    if _begins(data, box, kind, head):
        yield from boxes(data, box.start + len(head), box.end)


def _begins(data: Buffer, box: Box, kind: bytes, head: bytes) -> bool:
    return box.kind == kind and data[box.start : box.start + len(head)] == head


def _as_tiff(data: Buffer) -> Buffer:
    """A file that is laid out like TIFF, under TIFF's signature."""
    known = TIFF_LIKE.get(data[0:4])
    return _Renamed(data, known) if known else data


@dataclass(frozen=True, slots=True)
class _Renamed:
    """A file under another signature of four bytes."""

    data: Buffer
    signature: bytes

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, where: slice) -> bytes:
        start, stop, _ = where.indices(len(self.data))
        return self.signature[start:stop] + self.data[max(start, 4) : max(stop, 4)]
