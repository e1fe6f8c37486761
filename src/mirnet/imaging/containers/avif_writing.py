"""Metadata into an AVIF file: two more items."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mirnet.imaging.containers.boxes import Box, boxes, read_meta
from mirnet.imaging.containers.contents import unheld, with_resolution
from mirnet.imaging.containers.heif import XMP_TYPE
from mirnet.imaging.metadata import Metadata


def dress(bare: bytes, metadata: Metadata) -> tuple[bytes, tuple[str, ...]]:
    """An AVIF file with this metadata, and what it can't hold.

    The encoder has written the colour profile. EXIF and XMP become items whose content is
    appended; the tables in the ``meta`` box are written anew, and the places of what stands after
    it are moved by as much as it has grown.
    """
    notes, block = unheld(metadata, "AVIF"), with_resolution(metadata)
    added: list[tuple[bytes, bytes]] = []
    if block:
        added.append((b"Exif\0", bytes(4) + block))
    if metadata.xmp:
        added.append((b"mime\0" + XMP_TYPE + b"\0", metadata.xmp))
    if not added:
        return bare, notes
    meta = next(box for box in boxes(bare, 0, len(bare)) if box.kind == b"meta")
    parts = list(boxes(bare, meta.start + 4, meta.end))
    by_kind = {box.kind: bare[box.start : box.end] for box in parts}
    known = read_meta(bare)
    if any(at < meta.end for extents in known.extents.values() for at, _ in extents):
        raise ValueError("content inside the meta box, where the encoder puts none")
    first = max(known.items) + 1
    numbers = range(first, first + len(added))
    growth = 0
    for _ in range(2):  # once to learn how much it grows, once with that
        end = len(bare) + growth + 8
        moved = {
            number: [(at + growth if at >= meta.end else at, size) for at, size in extents]
            for number, extents in known.extents.items()
        }
        for number, (_, content) in zip(numbers, added, strict=True):
            moved[number] = [(end, len(content))]
            end += len(content)
        changed = {
            b"iinf": _items(by_kind[b"iinf"], zip(numbers, added, strict=True)),
            b"iloc": _location(moved),
            b"iref": _references(by_kind.get(b"iref", bytes(4)), numbers, known.primary),
        }
        body = b"".join(_box(box.kind, changed.pop(box.kind, by_kind[box.kind])) for box in parts)
        body += b"".join(_box(kind, content) for kind, content in changed.items())
        rebuilt = _box(b"meta", bare[meta.start : meta.start + 4] + body)
        growth = len(rebuilt) - (meta.end - meta.start + 8)
    data = _box(b"mdat", b"".join(content for _, content in added))
    return bare[: meta.start - 8] + rebuilt + _closed(bare, meta) + data, notes


def _closed(bare: bytes, meta: Box) -> bytes:
    """What stands after the ``meta`` box; a last box that runs to the end gets its length."""
    rest = bare[meta.end :]
    *_, last = boxes(rest, 0, len(rest))
    at = last.start - 8
    if rest[at : at + 4] == bytes(4):
        rest = rest[:at] + struct.pack(">L", len(rest) - at) + rest[at + 4 :]
    return rest


def _location(places: dict[int, list[tuple[int, int]]]) -> bytes:
    content = bytes(4) + b"\x44\0" + struct.pack(">H", len(places))
    for number, extents in places.items():
        content += struct.pack(">HHH", number, 0, len(extents))
        content += b"".join(struct.pack(">LL", *extent) for extent in extents)
    return content


def _items(iinf: bytes, added: Iterator[tuple[int, tuple[bytes, bytes]]]) -> bytes:
    entries = [
        _box(b"infe", b"\2\0\0\1" + struct.pack(">HH", number, 0) + kind[:4] + b"\0" + kind[5:])
        for number, (kind, _) in added
    ]
    count = int.from_bytes(iinf[4:6], "big") + len(entries)
    return iinf[:4] + struct.pack(">H", count) + iinf[6:] + b"".join(entries)


def _references(iref: bytes, numbers: range, primary: int) -> bytes:
    """Both describe the primary picture."""
    return iref + b"".join(
        _box(b"cdsc", struct.pack(">HHH", number, 1, primary)) for number in numbers
    )


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L4s", len(content) + 8, kind) + content
