"""What a photo file holds, before its pixels are decoded."""

from __future__ import annotations

from dataclasses import dataclass

from mirnet.imaging import exif
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.directories import Directory
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import PhotoHeader


class UnusableError(Exception):
    """A photo can't be used faithfully; the message is a clause that goes on from its path."""


ONE_PICTURE = (
    "is one picture, and not the two views of a dual-pixel photo; name these …_L and …_R, or save "
    "them as the two pages of a TIFF, the left one first"
)
"""Why a file can't be used where two views are wanted."""
MOST_BYTES = 16 << 20
"""Of metadata in one file that are read, unpacked."""

Part = bytes | tuple[int, int]
"""A piece of a file: bytes as they are, or from where to where they stand in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What was found in a file beside its pixels.

    Attributes:
        parts: the pieces of the file that its decoder needs, in order, without any metadata. So
            what metadata may cost is decided here and not in a decoder.
        metadata: as it stands in the file, orientation not applied.
        orientation: of EXIF, 1–8: how the decoded pixels are to be turned.
        is_lossless: whether a format that can be lossy was written without loss.
        is_premultiplied: whether the colours are multiplied with alpha.
        damage: what tells that pixels are missing; None if nothing here does.
        head: a whole file in itself that tells size and kind, and no pixels; None if there is none.
        header: size and kind, where they are told here and not by a decoder.
        attachments: what the file holds beside the photo, in a word or two each.
        notes: what was left out because it is damaged or has lost its meaning.
    """

    parts: tuple[Part, ...]
    metadata: Metadata
    orientation: int = 1
    is_lossless: bool = False
    is_premultiplied: bool = False
    damage: str | None = None
    head: bytes | None = None
    header: PhotoHeader | None = None
    attachments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def bare(self, data: Buffer, most: int | None = None) -> bytes:
        """The parts, joined; with ``most``, no more than about that many bytes of them."""
        pieces: list[bytes] = []
        room = sum(map(_size, self.parts)) if most is None else most
        for part in self.parts:
            if room <= 0:
                break
            piece = (
                part if isinstance(part, bytes) else data[part[0] : min(part[1], part[0] + room)]
            )
            pieces.append(piece)
            room -= len(piece)
        return b"".join(pieces)


def unheld(metadata: Metadata, name: str) -> tuple[str, ...]:
    """What a format without room for IPTC and texts can't hold, a sentence each."""
    lost = ["IPTC"] if metadata.iptc else []
    lost += [f"the text {keyword}" for keyword, _ in metadata.texts]
    return tuple(f"{each} can't be held by {name}; left out" for each in lost)


def with_resolution(metadata: Metadata) -> bytes | None:
    """The EXIF for a format that has no other place for the resolution."""
    fields = exif.resolution_fields(metadata.resolution)
    if metadata.exif is None and fields:
        return exif.from_directory(Directory(fields))
    return metadata.exif


def _size(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1] - part[0]
