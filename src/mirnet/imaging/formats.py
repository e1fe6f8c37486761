"""The file formats: how to tell them, what they can hold, and how they are encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging.photo import Depth, PhotoHeader

Encode = Callable[[Any, int], bytes]
"""From a libvips image and a quality to the bytes of a file."""

DEPTH_NAMES: dict[Depth, str] = {"8": "8-bit", "16": "16-bit", "float": "float"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format as this package writes it."""

    name: str
    suffixes: tuple[str, ...]
    loader: str
    """The libvips operation that reads it."""
    depths: tuple[Depth, ...]
    has_alpha: bool
    has_grey: bool
    """Whether one channel can be stored; otherwise grey is written as three equal channels."""
    max_side: int
    """The largest height or width, in pixels."""
    encode: Encode

    def require(self, photo: PhotoHeader, path: Path) -> None:
        """Raise PhotoError, with a format to choose instead, if such a photo can't be held."""
        if photo.depth not in self.depths:
            what = f"{DEPTH_NAMES[photo.depth]} pixels"
        elif photo.has_alpha and not self.has_alpha:
            what = "alpha"
        elif max(photo.height, photo.width) > self.max_side:
            what = f"{photo.height}×{photo.width} pixels (at most {self.max_side} a side)"
        else:
            return
        instead = ".tif" if photo.depth == "float" else ".png or .tif"
        raise PhotoError(f"{path}: {self.name} can't hold {what}; choose {instead}")


def _encode_png(image: Any, _: int) -> bytes:
    # Adaptive filters: photos come out a fifth smaller than without, at twice the time.
    return bytes(image.pngsave_buffer(compression=6, filter="all"))


def _encode_jpeg(image: Any, quality: int) -> bytes:
    return bytes(image.jpegsave_buffer(Q=quality, subsample_mode="off", optimize_coding=True))


def _encode_tiff(image: Any, _: int) -> bytes:
    predictor = "float" if image.format == "float" else "horizontal"
    # Near 4 GiB the offsets of plain TIFF run out; deflate can grow incompressible data a little.
    big = image.width * image.height * image.bands * 4 > 3 << 30
    return bytes(image.tiffsave_buffer(compression="deflate", predictor=predictor, bigtiff=big))


def _encode_webp(image: Any, quality: int) -> bytes:
    return bytes(image.webpsave_buffer(Q=quality, smart_subsample=True, alpha_q=100))


def _encode_avif(image: Any, quality: int) -> bytes:
    bits = 12 if image.format == "ushort" else 8
    return bytes(
        image.heifsave_buffer(compression="av1", Q=quality, bitdepth=bits, subsample_mode="off")
    )


PNG = Format(
    name="PNG",
    suffixes=(".png",),
    loader="pngload_source",
    depths=("8", "16"),
    has_alpha=True,
    has_grey=True,
    max_side=2**31 - 1,
    encode=_encode_png,
)
JPEG = Format(
    name="JPEG",
    suffixes=(".jpg", ".jpeg"),
    loader="jpegload_source",
    depths=("8",),
    has_alpha=False,
    has_grey=True,
    max_side=65535,
    encode=_encode_jpeg,
)
TIFF = Format(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    loader="tiffload_source",
    depths=("8", "16", "float"),
    has_alpha=True,
    has_grey=True,
    max_side=2**31 - 1,
    encode=_encode_tiff,
)
WEBP = Format(
    name="WebP",
    suffixes=(".webp",),
    loader="webpload_source",
    depths=("8",),
    has_alpha=True,
    has_grey=False,
    max_side=16383,
    encode=_encode_webp,
)
AVIF = Format(
    name="AVIF",
    suffixes=(".avif",),
    loader="heifload_source",
    depths=("8", "16"),
    has_alpha=True,
    has_grey=False,
    max_side=16384,
    encode=_encode_avif,
)
FORMATS = {suffix: kind for kind in (PNG, JPEG, TIFF, WEBP, AVIF) for suffix in kind.suffixes}


def by_suffix(path: Path) -> Format:
    """The format that a file name asks for; PhotoError for another suffix."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        known = ", ".join(FORMATS)
        raise PhotoError(
            f"{path}: can't be written as {path.suffix or 'a file without a suffix'}; "
            f"choose one of {known}"
        ) from None


def by_content(head: bytes) -> Format | None:
    """The format of a file by its first 16 bytes, whatever its name; None for others."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return TIFF
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"mif1", b"miaf"):
        return AVIF
    return None


def is_animated(file: BinaryIO) -> bool:
    """Whether a PNG or AVIF file announces an animation; libvips would show its first frame.

    WebP needs no such look: there libvips counts the frames.
    """
    file.seek(0)
    head = file.read(12)
    if by_content(head) is not PNG:
        return head[4:12] == b"ftypavis"
    file.seek(8)
    while len(chunk := file.read(8)) == 8 and chunk[4:] not in (b"IDAT", b"acTL"):
        file.seek(int.from_bytes(chunk[:4], "big") + 4, 1)
    return chunk[4:] == b"acTL"


def reason(error: pyvips.Error) -> str:
    """What libvips said, shortened to one line."""
    lines = [line.strip() for line in error.detail.splitlines() if line.strip()]
    return lines[-1] if lines else str(error.message)
