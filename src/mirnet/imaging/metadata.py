"""What a photo file carries beside its pixels."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import Self

from mirnet.imaging import exif

XMP_ORIENTATION = re.compile(
    rb"""(tiff:Orientation\s*=\s*["']|<tiff:Orientation\s*>)\s*[1-8]\s*(["']|</tiff:Orientation)"""
)
PHOTOSHOP = b"Photoshop 3.0\0"
IPTC_RESOURCE = 0x0404


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The metadata of a photo, as the bytes that the standards define, without file wrappers."""

    exif: bytes | None = None
    """A TIFF structure (``II*…`` or ``MM*…``) without the ``Exif`` prefix of JPEG."""
    xmp: bytes | None = None
    """An XML packet."""
    icc: bytes | None = None
    """A colour profile."""
    iptc: bytes | None = None
    """IPTC-IIM records."""
    resolution: tuple[float, float] | None = None
    """Across and down the upright photo, in pixels per millimetre; None if the file says none."""

    def upright(self) -> Self:
        """The same, with the orientation in EXIF and XMP set to 1, where they name one."""
        return replace(
            self,
            exif=self.exif and exif.upright(self.exif),
            xmp=self.xmp and XMP_ORIENTATION.sub(rb"\g<1>1\g<2>", self.xmp),
        )

    @property
    def profile_name(self) -> str | None:
        """The description in the colour profile; None without a profile or a readable one."""
        return None if self.icc is None else _icc_description(self.icc)

    @property
    def is_srgb(self) -> bool:
        """Whether the colours are sRGB: there is no profile, or its description says sRGB."""
        return self.icc is None or "srgb" in (self.profile_name or "").casefold()

    @property
    def profile_channels(self) -> int | None:
        """The channels that the colour profile is for: 3 or 1; None for others or no profile."""
        return {b"RGB ": 3, b"GRAY": 1}.get((self.icc or b"")[16:20])


def iptc_from_photoshop(block: bytes) -> bytes | None:
    """The IPTC-IIM records in a JPEG's Photoshop block, None if there are none.

    Bytes that are no such block are returned as they are: TIFF holds the bare records.
    """
    if not block.startswith(PHOTOSHOP):
        return block
    at = len(PHOTOSHOP)
    while block[at : at + 4] == b"8BIM" and at + 12 <= len(block):
        # A resource: 8BIM, number, name (Pascal string), size, data; name and data padded to even.
        number, name_size = struct.unpack_from(">HB", block, at + 4)
        at += 6 + _even(1 + name_size)
        size = int.from_bytes(block[at : at + 4], "big")
        if number == IPTC_RESOURCE:
            return block[at + 4 : at + 4 + size]
        at += 4 + _even(size)
    return None


def iptc_to_photoshop(records: bytes) -> bytes:
    """A Photoshop block that holds these IPTC-IIM records, as JPEG wants it."""
    padding = bytes(_even(len(records)) - len(records))
    head = PHOTOSHOP + b"8BIM" + struct.pack(">HHL", IPTC_RESOURCE, 0, len(records))
    return head + records + padding


def _icc_description(icc: bytes) -> str | None:
    """The ``desc`` tag of an ICC profile of version 2 or 4; None if there is no sound one."""
    try:
        (count,) = struct.unpack_from(">L", icc, 128)
        for index in range(min(count, 200)):
            signature, start, size = struct.unpack_from(">4sLL", icc, 132 + 12 * index)
            if signature == b"desc":
                return _icc_text(icc[start : start + size])
    except (struct.error, UnicodeDecodeError):
        pass
    return None


def _icc_text(tag: bytes) -> str | None:
    if tag[:4] == b"desc":
        (length,) = struct.unpack_from(">L", tag, 8)
        return tag[12 : 12 + length].split(b"\0")[0].decode("latin-1") or None
    if tag[:4] == b"mluc":
        # The first language will do: the names of profiles are rarely translated.
        length, start = struct.unpack_from(">LL", tag, 20)
        return tag[start : start + length].decode("utf-16-be").rstrip("\0") or None
    return None


def _even(size: int) -> int:
    return size + size % 2
