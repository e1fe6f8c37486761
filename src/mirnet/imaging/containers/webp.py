"""WebP: chunks of a RIFF file."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mirnet.imaging import exif
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers.contents import (
    MOST_BYTES,
    Contents,
    Part,
    UnusableError,
    unheld,
    with_resolution,
)
from mirnet.imaging.metadata import Metadata

EXTENDED, LOSSY, LOSSLESS, ANIMATION = b"VP8X", b"VP8 ", b"VP8L", b"ANIM"
ICC, EXIF, XMP = b"ICCP", b"EXIF", b"XMP "
# Flags of the extended header.
HAS_ICC, HAS_ALPHA, HAS_EXIF, HAS_XMP = 0x20, 0x10, 0x08, 0x04
MOST_CHUNKS = 1024


def inspect(data: Buffer) -> Contents:
    """What a WebP file holds. Raises UnusableError for an animation."""
    parts: list[Part] = []
    found: dict[bytes, bytes] = {}
    notes: tuple[str, ...] = ()
    kinds = set()
    for kind, start, size in _chunks(data):
        kinds.add(kind)
        if kind == ANIMATION:
            raise UnusableError("is animated; extract the frame that you want")
        if kind in (ICC, EXIF, XMP):
            if size <= MOST_BYTES and start + size <= len(data):
                found.setdefault(kind, data[start : start + size])
            else:
                notes += (f"damaged metadata was left out ({kind.decode().strip()})",)
        elif kind == EXTENDED:
            flags = data[start : start + 1] or b"\0"
            cleared = bytes([flags[0] & ~(HAS_ICC | HAS_EXIF | HAS_XMP)])
            parts += [data[start - 8 : start] + cleared, (start + 1, start + size + size % 2)]
        else:
            parts.append((start - 8, start + size + size % 2))
    length = sum(len(p) if isinstance(p, bytes) else min(p[1], len(data)) - p[0] for p in parts)
    # A file that is shorter than it says stays so, for the decoder to see.
    length = min(length + max(_end(data) - len(data), 0), 2**32 - 5)
    block = found.get(EXIF, b"").removeprefix(exif.PREFIX) or None
    return Contents(
        parts=(b"RIFF" + struct.pack("<L", 4 + length) + b"WEBP", *parts),
        metadata=Metadata(exif=block, xmp=found.get(XMP), icc=found.get(ICC)),
        orientation=exif.orientation(block),
        is_lossless=LOSSLESS in kinds,
        notes=notes,
    )


def dress(bare: bytes, metadata: Metadata) -> tuple[bytes, tuple[str, ...]]:
    """A WebP file with this metadata, and what it can't hold."""
    notes = unheld(metadata, "WebP")
    block = with_resolution(metadata)
    added = {ICC: metadata.icc, EXIF: block, XMP: metadata.xmp}
    if not any(added.values()):
        return bare, notes
    image = {kind: bare[at : at + size] for kind, at, size in _chunks(bare)}
    flags = HAS_ICC * bool(metadata.icc) + HAS_EXIF * bool(block)
    flags += HAS_XMP * bool(metadata.xmp)
    pixels = [kind for kind in (b"ALPH", LOSSY, LOSSLESS) if kind in image]
    extended = image.get(EXTENDED) or _extended(image)
    head = bytes([extended[0] | flags]) + extended[1:]
    order = [(EXTENDED, head), (ICC, metadata.icc), *((kind, image[kind]) for kind in pixels)]
    order += [(EXIF, block), (XMP, metadata.xmp)]
    body = b"WEBP" + b"".join(_chunk(kind, content) for kind, content in order if content)
    return b"RIFF" + struct.pack("<L", len(body)) + body, notes


def _chunks(data: Buffer) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's type, and where its content starts and how long it is."""
    end = min(len(data), _end(data))
    at = 12
    for _ in range(MOST_CHUNKS):
        head = data[at : at + 8]
        if at + 8 > end or len(head) < 8:
            return
        kind, size = struct.unpack("<4sL", head)
        yield kind, at + 8, size
        at += 8 + size + size % 2


def _end(data: Buffer) -> int:
    """Where the file ends by its own account."""
    return 8 + int.from_bytes(data[4:8], "little")


def _extended(image: dict[bytes, bytes]) -> bytes:
    """The extended header for a file that has none: flags, and the size less one."""
    if LOSSLESS in image:
        packed = int.from_bytes(image[LOSSLESS][1:5], "little")
        width, height, alpha = packed & 0x3FFF, packed >> 14 & 0x3FFF, packed >> 28 & 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", image[LOSSY], 6))
        width, height, alpha = width - 1, height - 1, 0
    sizes = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    return bytes([HAS_ALPHA * alpha, 0, 0, 0]) + sizes


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<L", len(content)) + content + bytes(len(content) % 2)
