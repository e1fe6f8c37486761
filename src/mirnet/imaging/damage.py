"""Damage that the decoder of a JPEG passes over."""

from __future__ import annotations

import re

import simplejpeg

_SURPLUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


def jpeg_fault(data: bytes) -> str | None:
    """What is wrong with a JPEG file, None if nothing tells.

    JPEG has no checksums. A decoder notices most damage (nine times in ten, when eight bytes are
    overwritten at random) by codes that don't exist, or by data that end too early or too late.
    libvips drops half of these warnings, those after the last row that it asks for among them. So
    all codes are decoded once more by libjpeg-turbo, at an eighth of the size.
    """
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError as error:
        reason = str(error).removeprefix("Corrupt JPEG data: ")
        return None if _is_padding(data, reason) else reason
    return None


def _is_padding(data: bytes, reason: str) -> bool:
    """Whether the surplus before the end marker is what some cameras fill up with."""
    surplus = _SURPLUS.search(reason)
    if not surplus:
        return False
    end = data.find(b"\xff\xd9", data.find(b"\xff\xda"))
    return set(data[end - int(surplus[1]) : end]) <= {0x00, 0xFF}
