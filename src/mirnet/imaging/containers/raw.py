"""RAW: what the files of cameras hold beside the values of their sensors.

Most are laid out like TIFF, some under another signature.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mirnet.imaging import exif
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers import heif, jpeg
from mirnet.imaging.containers.contents import MOST_BYTES, Contents, UnusableError
from mirnet.imaging.containers.heif import Box
from mirnet.imaging.containers.tiff import IPTC, MOST_FIELD, XMP
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
FUJIFILM = b"FUJIFILMCCD-RAW"
CANON = b"crx "
CANON_METADATA = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
CANON_DIRECTORIES = {b"CMT1": 0, b"CMT2": EXIF_DIRECTORY, b"CMT4": GPS_DIRECTORY}
"""Boxes with a structure of their own, and what its main directory is in EXIF."""
DESCRIBING = frozenset((270, 271, 272, exif.ORIENTATION, 305, 306, 315, 33432))
"""Description, make, model, orientation, software, time, artist, copyright. All else in the main
directory tells of the values of the sensor, or of the preview."""
COLOUR_SPACE = 0xA001
SRGB = Field(SHORT, 1, struct.pack("<H", 1))
NO_XMP = "XMP was left out: it may tell of another development"
NO_EXIF = "EXIF was not found in this kind of RAW; left out"


def inspect(data: Buffer) -> Contents:
    """What a RAW file holds; its size is the decoder's to tell."""
    try:
        metadata = _metadata(data)
    except (ValueError, struct.error, UnusableError):
        metadata = Metadata()
    lost = (NO_EXIF if metadata.exif is None else "", NO_XMP if metadata.xmp else "")
    return Contents(
        parts=((0, len(data)),),
        metadata=replace(metadata, xmp=None),
        notes=tuple(filter(None, lost)),
    )


def _metadata(data: Buffer) -> Metadata:
    head = data[0:16]
    if head.startswith(FUJIFILM):
        # Where its JPEG stands, which has the EXIF of the photo.
        start, size = struct.unpack(">LL", data[84:92])
        block = jpeg.inspect(data[start : start + min(size, MOST_BYTES)]).metadata.exif
        return Metadata(exif=block and _belonging(exif.main_directory(block)))
    if head[8:12] == CANON:
        return _canon(data)
    known = TIFF_LIKE.get(head[:4])
    main = Reader(_Renamed(data, known) if known else data, most=MOST_FIELD).main()
    xmp, iptc = (each.value if each else None for each in map(main.fields.get, (XMP, IPTC)))
    return Metadata(exif=_belonging(main), xmp=xmp or None, iptc=iptc or None)


def _belonging(main: Directory) -> bytes | None:
    """An EXIF block of what describes the photo, developed to sRGB; None if nothing does."""
    fields = {tag: entry for tag, entry in main.fields.items() if tag in DESCRIBING}
    children = {
        tag: child for tag, child in main.children.items() if tag in (EXIF_DIRECTORY, GPS_DIRECTORY)
    }
    if EXIF_DIRECTORY in children:
        inner = children[EXIF_DIRECTORY]
        children[EXIF_DIRECTORY] = Directory(inner.fields | {COLOUR_SPACE: SRGB}, inner.children)
    return exif.from_directory(Directory(fields, children)) if fields or children else None


def _canon(data: Buffer) -> Metadata:
    """Of a CR3, whose main, EXIF and GPS directories are structures apart, in boxes."""
    found: dict[bytes, Directory] = {}
    for box in _inside(data, heif.boxes(data, 0, len(data)), b"moov", b""):
        for inner in _inside(data, iter((box,)), b"uuid", CANON_METADATA):
            if inner.kind in CANON_DIRECTORIES:
                content = data[inner.start : min(inner.end, inner.start + MOST_BYTES)]
                found[inner.kind] = Reader(content, most=MOST_FIELD).main()
    children = {
        tag: found[kind] for kind, tag in CANON_DIRECTORIES.items() if tag and kind in found
    }
    return Metadata(exif=_belonging(Directory(found.get(b"CMT1", Directory()).fields, children)))


def _inside(data: Buffer, around: Iterator[Box], kind: bytes, head: bytes) -> Iterator[Box]:
    """The boxes in those of a kind whose content begins with ``head``."""
    for box in around:
        if box.kind == kind and data[box.start : box.start + len(head)] == head:
            yield from heif.boxes(data, box.start + len(head), box.end)


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
