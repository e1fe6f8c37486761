"""The file formats: how to tell them, what they can hold, and how they are encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirnet.errors import PhotoError
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers import avif, avif_writing, heic, heif, jpeg, png, raw, tiff, webp
from mirnet.imaging.containers.contents import Contents, UnusableError
from mirnet.imaging.directories import SIGNATURES as TIFF_SIGNATURES
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Depth, PhotoHeader

Encode = Callable[[Any, int | None], bytes]
"""From a libvips image and a quality (None: without loss) to the bytes of a bare file."""

DEPTH_NAMES: dict[Depth, str] = {"8": "8-bit", "16": "16-bit", "float": "float"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A file format that can be read."""

    name: str
    suffixes: tuple[str, ...]
    inspect: Callable[[Buffer], Contents]
    """What a file holds beside its pixels."""
    inspect_view: Callable[[Buffer, int], Contents] | None = None
    """The same of one of its two pictures; None for a format that holds a single one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format(Readable):
    """A file format that libvips reads, and this package writes."""

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

    def unheld(self, photo: PhotoHeader) -> str | None:
        """What of such a photo can't be held; None if all can."""
        if photo.depth not in self.depths:
            return f"{DEPTH_NAMES[photo.depth]} pixels"
        if photo.has_alpha and not self.has_alpha:
            return "alpha"
        if max(photo.height, photo.width) > self.max_side:
            return f"{photo.height}×{photo.width} pixels (at most {self.max_side} a side)"
        return None

    def require(self, photo: PhotoHeader, path: Path) -> None:
        """Raise PhotoError, with a format to choose instead, if such a photo can't be held."""
        what = self.unheld(photo)
        if what is None:
            return
        instead = ".tif" if photo.depth == "float" else ".png or .tif"
        raise PhotoError(f"{path}: {self.name} can't hold {what}; choose {instead}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Original(Readable):
    """A file format of phones and cameras that is read in a process of its own, and not written."""

    fault: Callable[[Buffer], str | None] | None = None
    """What in all of a file tells that pixels are missing; None if its decoder alone can tell."""
    decoder: str
    """The module of `apart` that reads it."""
    package: str
    """What that needs, as it is imported."""
    extra: str
    """What installs it."""
    written_as: tuple[Format, ...]
    """What its photos become: the first of these that can hold them."""


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
"""What can be written, by suffix."""

HEIC = Original(
    name="HEIC",
    suffixes=(".heic", ".heif", ".hif"),
    inspect=heic.inspect,
    fault=heic.fault,
    decoder="heic",
    package="pillow_heif",
    extra="heic",
    written_as=(JPEG, TIFF),
)
RAW_SUFFIXES = (
    ".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw",
)  # fmt: skip
RAW = Original(
    name="RAW",
    suffixes=RAW_SUFFIXES,
    inspect=raw.inspect,
    decoder="raw",
    package="rawpy",
    extra="raw",
    written_as=(TIFF,),
)
ORIGINALS = {suffix: kind for kind in (HEIC, RAW) for suffix in kind.suffixes}
"""What can be read alone, by suffix."""


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


OTHERS: dict[bytes, str] = {
    b"\xff\x0a": "JPEG XL", b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\0\0\0\x0cjP  ": "JPEG 2000", b"GIF8": "GIF", b"8BPS": "a Photoshop file", b"BM": "BMP",
    b"v/1\x01": "OpenEXR", b"#?RADIANCE": "Radiance HDR", b"%PDF": "PDF", b"II\xbc": "JPEG XR",
}  # fmt: skip
"""How files of other kinds begin, for a reason that is true."""


RAW_SIGNATURES = (raw.FUJIFILM, *raw.TIFF_LIKE, b"FOVb", b"\0MRM")
"""How RAW begins that doesn't begin like TIFF."""


def by_content(data: Buffer) -> Format | Original | str:
    """The format of a file, whatever its name; what else it is for others.

    Raises UnusableError for AVIF's and HEIC's relatives that no decoder here reads.
    """
    head = data[0:16]
    if head[4:8] == b"ftyp":
        if head[8:12] == raw.CANON:
            return RAW
        others = {b"jxl ": "JPEG XL", b"jp2 ": "JPEG 2000"}
        return _by_codec(data) if head[8:12] in heif.BRANDS else others.get(head[8:12], "a video")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head[:4] in TIFF_SIGNATURES:
        return RAW if tiff.is_raw(data) else TIFF
    known: dict[bytes, Format | Original | str] = {
        png.SIGNATURE: PNG,
        b"\xff\xd8\xff": JPEG,
        **dict.fromkeys(RAW_SIGNATURES, RAW),
        **OTHERS,
    }
    kind = next((name for start, name in known.items() if head.startswith(start)), None)
    return kind or "no PNG, JPEG, TIFF, WebP, AVIF, HEIC or RAW file"


def _by_codec(data: Buffer) -> Format | Original:
    if heif.is_sequence(data):
        raise UnusableError("is animated; extract the frame that you want")
    codec = heif.codec(data)
    if codec == avif.CODEC:
        return AVIF
    if codec in heic.CODECS:
        return HEIC
    raise UnusableError(
        f"holds a picture of kind {ascii(codec)[2:-1]}, which mirnet can't read; save it as TIFF "
        "or PNG first"
    )
