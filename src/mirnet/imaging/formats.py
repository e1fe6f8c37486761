"""The file formats: how to tell them, what they can hold, and how they are encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirnet.errors import PhotoError
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers import avif, avif_writing, jpeg, png, tiff, webp
from mirnet.imaging.containers.contents import Contents
from mirnet.imaging.directories import SIGNATURES as TIFF_SIGNATURES
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Depth, PhotoHeader

Encode = Callable[[Any, int | None], bytes]
"""From a libvips image and a quality (None: without loss) to the bytes of a bare file."""

DEPTH_NAMES: dict[Depth, str] = {"8": "8-bit", "16": "16-bit", "float": "float"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A file format as this package writes it."""

    name: str
    suffixes: tuple[str, ...]
    inspect: Callable[[Buffer], Contents]
    """What a file holds beside its pixels."""
    inspect_view: Callable[[Buffer, int], Contents] | None = None
    """The same of one of its two pictures; None for a format that holds a single one."""
    dress: Callable[[bytes, Metadata], tuple[bytes, tuple[str, ...]]]
    """Metadata into a bare file; and what it can't hold."""
    loader: str
    """The libvips operation that reads it."""
    unlimited: bool = False
    """Whether that has a limit to lift. What a file may cost is known from its size and header."""
    depths: tuple[Depth, ...]
    has_alpha: bool
    has_grey: bool
    """Whether one channel can be stored; otherwise grey is written as three equal channels."""
    max_side: int
    """The largest height or width, in pixels."""
    encode: Encode
    head_is_enough: bool = False
    """Whether the beginning of a file tells its size and kind."""

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


def _encode_png(image: Any, _: int | None) -> bytes:
    # Adaptive filters: photos come out a fifth smaller than without, at twice the time.
    return bytes(image.pngsave_buffer(compression=6, filter="all", keep="none"))


def _encode_jpeg(image: Any, quality: int | None) -> bytes:
    options = {"subsample_mode": "off", "optimize_coding": True, "keep": "none"}
    return bytes(image.jpegsave_buffer(Q=quality, **options))


def _encode_tiff(image: Any, _: int | None) -> bytes:
    predictor = "float" if image.format == "float" else "horizontal"
    # Near 4 GiB the offsets of plain TIFF run out; deflate can grow incompressible data a little.
    big = image.width * image.height * image.bands * 4 > 3 << 30
    options = {"compression": "deflate", "predictor": predictor, "bigtiff": big, "keep": "none"}
    return bytes(image.tiffsave_buffer(**options))


def _encode_webp(image: Any, quality: int | None) -> bytes:
    if quality is None:
        return bytes(image.webpsave_buffer(lossless=True, exact=True, keep="none"))
    options = {"smart_subsample": True, "alpha_q": 100, "keep": "none"}
    return bytes(image.webpsave_buffer(Q=quality, **options))


def _encode_avif(image: Any, quality: int | None) -> bytes:
    options: dict[str, Any] = {"compression": "av1", "subsample_mode": "off", "keep": "icc"}
    options["bitdepth"] = 12 if image.format == "ushort" else 8
    if quality is None:
        return bytes(image.heifsave_buffer(lossless=True, **options))
    return bytes(image.heifsave_buffer(Q=quality, **options))


PNG = Format(
    name="PNG",
    suffixes=(".png",),
    loader="pngload_source",
    depths=("8", "16"),
    has_alpha=True,
    has_grey=True,
    max_side=2**31 - 1,
    encode=_encode_png,
    head_is_enough=True,
    inspect=png.inspect,
    dress=png.dress,
)
JPEG = Format(
    name="JPEG",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
    loader="jpegload_source",
    depths=("8",),
    has_alpha=False,
    has_grey=True,
    max_side=65535,
    encode=_encode_jpeg,
    head_is_enough=True,
    inspect=jpeg.inspect,
    dress=jpeg.dress,
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
    unlimited=True,
    inspect=tiff.inspect,
    inspect_view=tiff.inspect,
    dress=tiff.dress,
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
    inspect=webp.inspect,
    dress=webp.dress,
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
    inspect=avif.inspect,
    dress=avif_writing.dress,
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


RAW = "a RAW photo"
OTHERS: dict[bytes, str] = {
    b"FUJIFILMCCD-RAW": RAW, b"IIU\0": RAW, b"IIRO": RAW, b"IIRS": RAW, b"MMOR": RAW, b"FOVb": RAW,
    b"\0MRM": RAW, b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"GIF8": "GIF", b"8BPS": "a Photoshop file", b"BM": "BMP",
    b"v/1\x01": "OpenEXR", b"#?RADIANCE": "Radiance HDR", b"%PDF": "PDF", b"II\xbc": "JPEG XR",
}  # fmt: skip
"""How files of other kinds begin, for a reason that is true."""


STILL_BRANDS = (
    b"avif", b"avis", b"mif1", b"mif2", b"miaf", b"msf1", b"MA1A", b"MA1B", b"heic", b"heix",
    b"hevc", b"hevx", b"heim", b"heis",
)  # fmt: skip
"""Brands of AVIF and its relatives, which its module tells apart."""


def by_content(head: bytes) -> Format | str:
    """The format of a file by its first 16 bytes, whatever its name; what else it is for others."""
    if head[4:8] == b"ftyp":
        others = {b"crx ": RAW, b"jxl ": "JPEG XL", b"jp2 ": "JPEG 2000"}
        return AVIF if head[8:12] in STILL_BRANDS else others.get(head[8:12], "a video")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    ours = {png.SIGNATURE: PNG, b"\xff\xd8\xff": JPEG, **dict.fromkeys(TIFF_SIGNATURES, TIFF)}
    known: dict[bytes, Format | str] = {**ours, **OTHERS}
    kind = next((name for start, name in known.items() if head.startswith(start)), None)
    return kind or "no PNG, JPEG, TIFF, WebP or AVIF file"
