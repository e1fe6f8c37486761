"""What a photo file carries beside its pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Self

from mirnet.imaging import exif, icc, xmp

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
    texts: tuple[tuple[str, str], ...] = ()
    """Keywords and texts of a PNG; a JPEG's comment has the keyword "Comment"."""

    def settled(self, height: int, width: int) -> Self:
        """The same for an upright photo of this size, in pixels: see `exif.settled`."""
        return replace(
            self,
            exif=self.exif and exif.settled(self.exif, height, width),
            xmp=self.xmp and xmp.settled(self.xmp, height, width),
        )

    @property
    def profile_name(self) -> str | None:
        """The description in the colour profile; None without a profile or a readable one."""
        return None if self.icc is None else icc.name(self.icc)

    @property
    def is_srgb(self) -> bool:
        """Whether the colours are sRGB: there is no profile, or its description says sRGB."""
        return self.icc is None or "srgb" in (self.profile_name or "").casefold()

    @property
    def profile_channels(self) -> int | None:
        """The channels that the colour profile is for: 3 or 1; None for others or no profile."""
        return None if self.icc is None else icc.channels(self.icc)


def iptc_from_photoshop(block: bytes) -> bytes | None:
    """The IPTC-IIM records in a Photoshop block, None if there are none.

    Args:
        block: image resources, with or without the prefix that JPEG puts before them.
    """
    at = len(PHOTOSHOP) if block.startswith(PHOTOSHOP) else 0
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


def _even(size: int) -> int:
    return size + size % 2
