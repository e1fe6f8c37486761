"""HEIF (ISO/IEC 23008-12), which AVIF and HEIC share: its picture, its metadata, its colours."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

from mirnet.imaging import exif
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers import cicp
from mirnet.imaging.containers.boxes import DAMAGED, Meta, boxes, sound_meta
from mirnet.imaging.containers.contents import MOST_BYTES, Part, UnusableError
from mirnet.imaging.metadata import Metadata

BRANDS = (
    b"avif", b"avis", b"mif1", b"mif2", b"miaf", b"msf1", b"MA1A", b"MA1B", b"heic", b"heix",
    b"hevc", b"hevx", b"heim", b"heis",
)  # fmt: skip
"""Brands of AVIF, HEIC and their relatives, which are told apart by their picture."""
SERIES = (b"hevc", b"hevx", b"msf1")
"""Brands of series, of which some hold a picture too."""
XMP_TYPE = b"application/rdf+xml"
HIDDEN = b"mrnt"
"""An item type that no decoder knows, in place of those of metadata."""
PACKED = (b"deflate", b"compress_zlib")
"""How metadata may be packed: both are zlib's format, as libheif writes it."""


class Described(NamedTuple):
    """The metadata of a file, as it stands there.

    Attributes:
        metadata: EXIF, XMP and the colour profile of the primary picture, made from numbers if
            need be.
        numbers: primaries, transfer and matrix in H.273, if the file names its colours so.
        notes: what was left out because it is damaged.
    """

    metadata: Metadata
    numbers: tuple[int, ...] | None
    notes: tuple[str, ...]


def is_sequence(data: Buffer) -> bool:
    """Whether a file is an animation or a series, and no picture."""
    if data[8:12] == b"avis":
        return True
    try:
        return data[8:12] in SERIES and not any(
            box.kind == b"meta" for box in boxes(data, 0, len(data))
        )
    except (struct.error, ValueError):
        return False


def codec(data: Buffer) -> bytes:
    """The type of the coded picture that is shown, ``av01`` or ``hvc1`` say.

    Raises UnusableError for what has no picture.
    """
    meta = sound_meta(data)
    number = meta.coded()
    if number is None:
        raise UnusableError("is damaged: it names no picture; get a fresh copy")
    return meta.items[number].kind


def described(data: Buffer, meta: Meta, *, is_grey: bool = False) -> Described:
    """EXIF, XMP and colours. Raises UnusableError for HDR, linear light and unknown colours."""
    try:
        profile, numbers = _colour(data, meta)
    except struct.error as error:
        raise UnusableError(DAMAGED) from error
    if numbers:
        cicp.require_standard_range(numbers[1])
        profile = profile or cicp.profile(numbers[0], numbers[1], is_grey=is_grey)
    block, packet = _item(data, meta, b"Exif"), _item(data, meta, b"mime", XMP_TYPE)
    if block:
        # Four bytes say how much stands before the block.
        block = block[4 + int.from_bytes(block[:4], "big") :].removeprefix(exif.PREFIX)
    damaged = [name for name, content in (("EXIF", block), ("XMP", packet)) if content == b""]
    return Described(
        Metadata(exif=block or None, xmp=packet or None, icc=profile),
        numbers,
        tuple(f"damaged metadata was left out ({name})" for name in damaged),
    )


def _item(data: Buffer, meta: Meta, kind: bytes, content_type: bytes = b"") -> bytes | None:
    """What an item of this kind says of the primary picture, or of no picture in particular.

    None if there is none, b"" if it is damaged.
    """
    described = {r.item: r.others for r in meta.references if r.kind == b"cdsc"}
    for number, item in meta.items.items():
        is_ours = meta.primary in described.get(number, (meta.primary,))
        if is_ours and item.kind == kind and item.content_type.startswith(content_type):
            extents = meta.extents.get(number, [])
            if sum(size for _, size in extents) > MOST_BYTES:
                return b""
            pieces = [data[at : at + size] for at, size in extents]
            is_whole = all(len(p) == size for p, (_, size) in zip(pieces, extents, strict=True))
            return _unpacked(b"".join(pieces), item.encoding) if is_whole else b""
    return None


def _unpacked(content: bytes, encoding: bytes) -> bytes:
    """The same without compression; b"" if that isn't known, or the content is damaged."""
    if not encoding:
        return content
    if encoding not in PACKED:
        return b""
    unpacking = zlib.decompressobj()
    try:
        found = unpacking.decompress(content, MOST_BYTES)
    except zlib.error:
        return b""
    return found if unpacking.eof else b""


def _colour(data: Buffer, meta: Meta) -> tuple[bytes | None, tuple[int, ...] | None]:
    """The profile of the primary picture, and its numbers: primaries, transfer and matrix.

    Those of a picture that names none stand with what it is put together from.
    """
    profile, numbers = None, None
    for number in dict.fromkeys((meta.primary, meta.coded() or meta.primary)):
        for box in meta.properties_of(number):
            if box.kind != b"colr" or box.end - box.start > MOST_BYTES:
                continue
            content = data[box.start : box.end]
            if content[:4] in (b"prof", b"rICC"):
                profile = content[4:]
            elif content[:4] == b"nclx":
                numbers = struct.unpack_from(">HHH", content, 4)
        if profile or numbers:
            break
    return profile, numbers


def without_metadata(data: Buffer, meta: Meta) -> tuple[Part, ...]:
    """The file with its EXIF and XMP renamed, so that all places stay true."""
    parts: list[Part] = []
    at = 0
    for item in sorted(meta.items.values(), key=lambda item: item.at):
        if item.kind in (b"Exif", b"mime"):
            parts += [(at, item.at), HIDDEN]
            at = item.at + 4
    return (*parts, (at, len(data)))
