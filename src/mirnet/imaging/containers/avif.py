"""AVIF: HEIF with AV1 inside."""

from __future__ import annotations

from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers import heif
from mirnet.imaging.containers.boxes import sound_meta
from mirnet.imaging.containers.contents import Contents

CODEC = b"av01"
LOSSLESS_MATRICES = (0, 16, 17)
"""Identity and YCgCo-R: who keeps RGB as it is wants no loss."""


def inspect(data: Buffer) -> Contents:
    """What an AVIF file holds. Raises UnusableError for HDR and linear light."""
    meta = sound_meta(data)
    metadata, numbers, notes = heif.described(data, meta)
    return Contents(
        parts=heif.without_metadata(data, meta),
        metadata=metadata,
        is_lossless=bool(numbers and numbers[2] in LOSSLESS_MATRICES),
        is_premultiplied=meta.is_premultiplied,
        notes=notes,
    )
