"""HEIC: HEIF with HEVC inside, as phones write it."""

from __future__ import annotations

import math
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers import cicp, heif, hevc
from mirnet.imaging.containers.avif import LOSSLESS_MATRICES
from mirnet.imaging.containers.boxes import DAMAGED, DERIVED, Box, Meta, boxes, sound_meta
from mirnet.imaging.containers.contents import Contents, UnusableError
from mirnet.imaging.photo import PhotoHeader

CODECS = (b"hvc1", b"hev1")
ALPHA = ("urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", "urn:mpeg:hevc:2015:auxid:1")
ATTACHMENTS = {
    "gainmap": "gain map", "auxid:2": "depth map", "depth": "depth map",
    "disparity": "depth map", "matte": "mattes",
}  # fmt: skip
"""What the type of an auxiliary picture may contain, and what it is then."""
BESIDE = {b"mpvd": "video", b"moov": "picture sequence"}
"""Boxes beside that of the pictures."""
TELEVISION_PRIMARIES, TELEVISION_CURVES = (1, 5, 6, 7), (1, 6, 14, 15)
"""In H.273. Encoders of phones write these for all pictures, also beside a profile of Display P3:
in a coded picture they say nothing."""
MOST_CONFIGURATION = 1 << 16
"""Bytes of a property that are read."""
MOST_PIXELS = 1 << 30
"""That libheif decodes."""


def inspect(data: Buffer) -> Contents:
    """What a HEIC file holds. Raises UnusableError for HDR, linear light, and mere sequences.

    The primary picture is the photo. It is turned by its own properties (``irot``, ``imir``), which
    its decoder applies; EXIF's orientation says the same once more, and is not applied again.
    """
    meta = sound_meta(data)
    try:
        header = _header(data, meta)
        is_grey = header.channels == 1
        metadata, numbers, notes = heif.described(data, meta, is_grey=is_grey)
        if metadata.icc is None and numbers is None and (numbers := _numbers(data, meta)):
            icc = cicp.profile(numbers[0], numbers[1], is_grey=is_grey)
            metadata = replace(metadata, icc=icc)
        attachments = tuple(dict.fromkeys(_attachments(data, meta)))
    except (struct.error, IndexError, ValueError, ZeroDivisionError) as error:
        raise UnusableError(DAMAGED) from error
    return Contents(
        parts=heif.without_metadata(data, meta),
        metadata=metadata,
        is_lossless=bool(numbers and numbers[2] in LOSSLESS_MATRICES),
        is_premultiplied=meta.is_premultiplied,
        header=header,
        attachments=attachments,
        notes=notes,
    )


def fault(data: Buffer) -> str | None:
    """What says that pieces of the photo are damaged; None if nothing does. Reads all of them.

    Raises UnusableError for a file that is cut, of which no decoder here gives anything.
    """
    meta = sound_meta(data)
    pieces = {each: meta.extents[each] for each in _pieces(data, meta) if meta.extents.get(each)}
    extents = [extent for found in pieces.values() for extent in found]
    cut = sum(at + length > len(data) for at, length in extents)
    if cut:
        raise UnusableError(
            f"is truncated ({cut} of {len(extents)} pieces lie beyond its end); get a fresh copy"
        )
    if sum(length for _, length in extents) > len(data):
        return "its pieces lie over each other"
    faults = [
        found
        for each in pieces
        if meta.items[each].kind in CODECS and (found := _fault(data, meta, each))
    ]
    return f"{len(faults)} of {len(extents)} pieces: {faults[0]}" if faults else None


def _fault(data: Buffer, meta: Meta, number: int) -> str | None:
    """What says that a coded picture isn't whole."""
    try:
        size = hevc.length_size(_property(data, meta, number, b"hvcC"))
    except IndexError:
        return "it has no configuration"
    return hevc.fault(b"".join(data[at : at + of] for at, of in meta.extents[number]), size)


def _numbers(data: Buffer, meta: Meta) -> tuple[int, ...] | None:
    """The colours that the coded picture itself names, which count where the file names none."""
    coded = meta.coded()
    found = None if coded is None else hevc.colours(_property(data, meta, coded, b"hvcC"))
    is_default = found and found[0] in TELEVISION_PRIMARIES and found[1] in TELEVISION_CURVES
    return None if is_default else found


def _header(data: Buffer, meta: Meta) -> PhotoHeader:
    """Size and kind of the upright primary picture; ValueError if they aren't said."""
    coded = meta.coded()
    configured = coded is not None and _property(data, meta, coded, b"hvcC")
    if not configured or coded is None:
        raise ValueError("no configuration of the decoder")
    (bits_of_each,) = (_property(data, meta, meta.primary, b"pixi") or bytes(5),)
    bits = max(bits_of_each[5:], default=0) or (configured[17] & 7) + 8
    width, height = _size(data, meta)
    if not 0 < bits <= 16 or width < 1 or height < 1:
        raise ValueError("an empty picture")
    if width * height > MOST_PIXELS:
        raise UnusableError(
            f"says that it is {width}×{height}, more than any HEIC; get a fresh copy"
        )
    return PhotoHeader(
        height=height,
        width=width,
        channels=1 if configured[16] & 3 == 0 else 3,
        depth="8" if bits == 8 else "16",
        has_alpha=any(
            each.kind == b"auxl"
            and {meta.primary, coded}.intersection(each.others)
            and _is_alpha(data, meta, each.item)
            for each in meta.references
        ),
    )


def _size(data: Buffer, meta: Meta) -> tuple[int, int]:
    """Width and height after the picture was cropped and turned."""
    width, height = 0, 0
    for box in meta.properties_of(meta.primary):
        content = data[box.start : min(box.end, box.start + 32)]
        if box.kind == b"ispe":
            width, height = struct.unpack_from(">LL", content, 4)
        elif box.kind == b"clap":
            terms = struct.unpack(">LLLLlLlL", content)
            wide, high, right, down = (
                Fraction(*pair) for pair in zip(terms[::2], terms[1::2], strict=True)
            )
            width, height = _cropped(width, wide, right), _cropped(height, high, down)
        elif box.kind == b"irot" and content[0] & 1:
            width, height = height, width
    return width, height


def _cropped(size: int, length: Fraction, offset: Fraction) -> int:
    """Pixels of a clean aperture along one side; its centre lies ``offset`` off the middle."""
    start = math.floor(offset + Fraction(size - 1, 2) - (length - 1) / 2)
    end = math.floor(length - 1 + start + Fraction(1, 2))
    return min(end, size - 1) - max(start, 0) + 1


def _property(data: Buffer, meta: Meta, number: int, kind: bytes) -> bytes:
    """The first property of this kind that an item has; b"" if there is none."""
    found = (box for box in meta.properties_of(number) if box.kind == kind)
    box = next(found, Box(kind, 0, 0))
    return data[box.start : min(box.end, box.start + MOST_CONFIGURATION)]


def _purpose(data: Buffer, meta: Meta, number: int) -> str:
    """What an auxiliary picture says that it is."""
    return _property(data, meta, number, b"auxC")[4:].split(b"\0")[0].decode("ascii", "replace")


def _is_alpha(data: Buffer, meta: Meta, number: int) -> bool:
    return _purpose(data, meta, number) in ALPHA


def _attachments(data: Buffer, meta: Meta) -> Iterator[str]:
    """What the file holds beside its photo; thumbnails don't count."""
    parts = {meta.primary}
    for reference in meta.references:
        if reference.kind == b"dimg":
            parts.update(reference.others)
        elif reference.kind in (b"auxl", b"thmb"):
            parts.add(reference.item)
    for reference in meta.references:
        if reference.kind == b"auxl" and meta.primary in reference.others:
            purpose = _purpose(data, meta, reference.item)
            if purpose not in ALPHA:
                named = (name for piece, name in ATTACHMENTS.items() if piece in purpose)
                yield next(named, "auxiliary picture")
    for number, item in meta.items.items():
        if item.kind == b"tmap":
            yield "gain map"
        is_picture = item.kind in CODECS or item.kind in DERIVED
        if is_picture and not item.is_hidden and number not in parts:
            yield "further pictures"
    with suppress(ValueError):  # the last box of a file that was cut runs past its end
        yield from (BESIDE[box.kind] for box in boxes(data, 0, len(data)) if box.kind in BESIDE)


def _pieces(data: Buffer, meta: Meta) -> set[int]:
    """The items that the photo is made of: the primary picture, its tiles, and its alpha."""
    made_of: dict[int, list[int]] = defaultdict(list)
    for reference in meta.references:
        if reference.kind == b"dimg":
            made_of[reference.item] += reference.others
        elif reference.kind == b"auxl" and _is_alpha(data, meta, reference.item):
            for other in reference.others:
                made_of[other].append(reference.item)
    waiting, needed = [meta.primary], set[int]()
    while waiting:
        number = waiting.pop()
        if number not in needed and number in meta.items:
            needed.add(number)
            waiting += made_of.pop(number, ())
    return needed
