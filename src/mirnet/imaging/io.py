"""Read and write photo files."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from mirnet.atomic import replacing
from mirnet.choices import OutputDepth
from mirnet.errors import MirnetError, PhotoError
from mirnet.imaging import exif, formats, icc, xmp
from mirnet.imaging.containers.contents import Contents
from mirnet.imaging.decoding import DEPTH_OF, decode, header_of
from mirnet.imaging.formats import FORMATS, ORIGINALS, Format
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.opening import opened
from mirnet.imaging.photo import Photo, PhotoHeader
from mirnet.imaging.quantize import quantize, to_float
from mirnet.imaging.vips import VipsError, guarded

AnyArray = NDArray[Any]

SUFFIXES = frozenset(FORMATS | ORIGINALS)
"""Lower-case suffixes of the files that can be read."""

INTERPRETATIONS = {
    (1, "8"): "b-w", (1, "16"): "grey16", (1, "float"): "b-w",
    (3, "8"): "srgb", (3, "16"): "rgb16", (3, "float"): "scrgb",
}  # fmt: skip
FORMAT_OF = {depth: name for name, depth in DEPTH_OF.items()}

# Float files may overshoot [0, 1] by this much, from resampling or rounding; it is clipped.
OVERSHOOT = 1e-3

QUALITY = 95
"""Of lossy formats, where none is asked for."""


def read_photo(
    path: str | Path,
    *,
    allow_damaged: bool = False,
    view: int | None = None,
    header: PhotoHeader | None = None,
) -> Photo:
    """Read a PNG, JPEG, TIFF, WebP, AVIF, HEIC or RAW file, upright.

    The format is told by the content, not by the name. Palettes become RGB, one bit becomes 8-bit
    grey, 10 and 12 bits of AVIF and HEIC become 16, premultiplied colours are divided by their
    alpha. Values are not converted between colour spaces: what a file says of its colours otherwise
    than by a profile becomes one. RAW is developed to 16-bit sRGB: see `apart.raw`.

    Args:
        path: the file.
        allow_damaged: take what can be decoded of a damaged file; the photo's notes say so.
        view: which picture of a file that holds the left (0) and the right view (1) of a
            dual-pixel photo, as the two pages of a TIFF.
        header: what ``read_header`` said of the file, if it was asked: RAW is then not asked again.

    Raises:
        PhotoError: the file is missing, not a photo, damaged, or of a kind that is not supported.
        MissingDependencyError: it is HEIC or RAW, and what reads that is not installed.
    """
    path = Path(path)
    with opened(path, view) as file:
        header, array, doubts = decode(file, header, allow_damaged=allow_damaged)
    if file.contents.is_premultiplied and header.has_alpha:
        array = _unpremultiplied(array)
    if header.depth == "float":
        array = _checked_range(path, array)
    metadata, notes = _metadata(file.contents, header)
    return Photo(
        pixels=np.ascontiguousarray(array[:, :, : header.channels]),
        alpha=np.ascontiguousarray(array[:, :, -1]) if header.has_alpha else None,
        metadata=metadata,
        is_lossless=file.contents.is_lossless,
        notes=doubts + notes,
    )


def read_header(path: str | Path, *, view: int | None = None) -> PhotoHeader:
    """Size and kind of a photo file, without decoding its pixels. Raises as ``read_photo``."""
    path = Path(path)
    with opened(path, view) as file:
        return header_of(file)


def check_quality(quality: int | None) -> None:
    """Raise ValueError for a quality that there isn't."""
    if quality is not None and not (isinstance(quality, Integral) and 1 <= quality <= 100):
        raise ValueError(f"quality is from 1 to 100, a whole number, got {quality!r}")


def write_photo(photo: Photo, path: str | Path, *, quality: int | None = None) -> tuple[str, ...]:
    """Write a photo file whole or not at all; equal photos give equal bytes.

    Args:
        photo: what to write; its depth is kept. AVIF stores 16 bits as 12.
        path: the file; its suffix decides the format, and its folder must exist.
        quality: of JPEG, WebP and AVIF, 1–100; 95 unless told. PNG and TIFF are lossless; so are
            WebP and AVIF, unless a quality is told, for a photo that was lossless in its file.

    Returns:
        What of the photo's metadata the format can't hold, a sentence each.

    Raises:
        PhotoError: the format can't hold the photo, or the file can't be written. A file that was
            there before is then still there.
        ValueError: quality is not from 1 to 100.
    """
    path = Path(path)
    check_quality(quality)
    check_writable(photo.header, path)
    kind = formats.by_suffix(path)
    keeps_all = quality is None and photo.is_lossless and kind is not formats.JPEG
    metadata, notes = _fitting(photo, kind)
    try:
        with guarded():
            image = _image(photo, kind, metadata.icc)
            encoded = kind.encode(image, None if keeps_all else quality or QUALITY)
    except VipsError as error:
        raise PhotoError(
            f"{path}: {kind.name} encoding failed ({error}); choose another format"
        ) from error
    encoded, unheld = kind.dress(encoded, metadata)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(encoded)
    except OSError as error:
        raise PhotoError(f"{path}: can't be written ({error.strerror}); name another") from error
    return notes + unheld


def suffixes_of(path: Path, *, view: int | None = None) -> frozenset[str]:
    """The suffixes that a photo's name should have by its content. Raises as ``read_photo``."""
    with opened(path, view) as file:
        return frozenset(file.kind.suffixes)


def written_suffix(path: Path, depth: OutputDepth = "keep") -> str | None:
    """The suffix of what a photo becomes that keeps its kind; None if that is its own.

    What phones and cameras write can't be written here: it becomes a JPEG, or a TIFF if a JPEG
    can't hold it, at ``depth``. Of a file that can't be read, it is the first of these.
    """
    original = ORIGINALS.get(path.suffix.lower())
    if original is None:
        return None
    kinds = original.written_as
    if len(kinds) > 1:
        with suppress(MirnetError):
            header = read_header(path)
            wanted = header if depth == "keep" else replace(header, depth=depth)
            kinds = tuple(kind for kind in kinds if kind.unheld(wanted) is None)
    return kinds[0].suffixes[0] if kinds else original.written_as[-1].suffixes[0]


def check_writable(header: PhotoHeader, path: str | Path) -> None:
    """Raise PhotoError, as ``write_photo`` would, if such a photo can't be written to ``path``."""
    path = Path(path)
    formats.by_suffix(path).require(header, path)
    if not path.parent.is_dir():
        raise PhotoError(f"{path}: the folder {path.parent} does not exist; make it first")


def _metadata(contents: Contents, header: PhotoHeader) -> tuple[Metadata, tuple[str, ...]]:
    """The metadata for the upright pixels, and notes of what they lack."""
    metadata, notes = contents.metadata, contents.notes
    if metadata.exif:
        block, faults = exif.repaired(metadata.exif)
        metadata = replace(metadata, exif=block)
        if block is None or faults:
            what = ", ".join(f"tag {tag}" for tag in faults) or "EXIF"
            moved = "; maker notes have moved" if faults else ""
            notes += (f"damaged metadata was left out ({what}){moved}",)
    attachments = contents.attachments
    if metadata.xmp:
        packet, described = xmp.without_attachments(metadata.xmp)
        metadata = replace(metadata, xmp=packet)
        attachments += described
    if attachments:
        left = ", ".join(dict.fromkeys(attachments))
        notes += (f"what the file holds beside the photo was left out ({left})",)
    resolution = metadata.resolution or exif.resolution(exif.main_directory(metadata.exif))
    if resolution and contents.orientation >= 5:
        resolution = (resolution[1], resolution[0])
    metadata = replace(metadata, resolution=resolution)
    return metadata.settled(header.height, header.width), notes


def _fitting(photo: Photo, kind: Format) -> tuple[Metadata, tuple[str, ...]]:
    """The photo's metadata with a colour profile for the channels that are written."""
    metadata = photo.metadata.settled(photo.height, photo.width)
    written = 3 if photo.is_grey and not kind.has_grey else photo.header.channels
    if metadata.icc is None or metadata.profile_channels == written:
        return metadata, ()
    is_grey = metadata.profile_channels == 1 and photo.is_grey
    profile = icc.rgb_from_grey(metadata.icc) if is_grey else None
    lost = "a colour profile that is not for these channels was left out"
    return replace(metadata, icc=profile), () if profile else (lost,)


def _unpremultiplied(array: AnyArray) -> AnyArray:
    """Colours divided by their alpha, the last channel; black where nothing is seen."""
    alpha = to_float(array[:, :, -1:])
    colours = to_float(array[:, :, :-1]) / np.where(alpha > 0, alpha, 1)
    colours[np.broadcast_to(alpha == 0, colours.shape)] = 0
    return np.concatenate([quantize(colours, array.dtype), array[:, :, -1:]], axis=2)


def _checked_range(path: Path, pixels: AnyArray) -> AnyArray:
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite(low + high):
        raise PhotoError(f"{path}: holds NaN or infinite values; replace them first")
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise PhotoError(
            f"{path}: holds values from {low:g} to {high:g}; bring float pixels into [0, 1] first"
        )
    return np.clip(pixels, 0, 1)


def _image(photo: Photo, kind: Format, profile: bytes | None) -> Any:
    """The photo as a libvips image, with no metadata but its profile."""
    pixels = photo.pixels
    if photo.is_grey and not kind.has_grey:
        pixels = np.repeat(pixels, 3, axis=2)
    interpretation = INTERPRETATIONS[pixels.shape[2], photo.depth]
    if photo.alpha is not None:
        pixels = np.concatenate([pixels, photo.alpha[:, :, None]], axis=2)
    if kind is formats.AVIF and photo.depth == "16":
        pixels = _rounded_to_12_bits(pixels)
    height, width, bands = pixels.shape
    flat = np.ascontiguousarray(pixels).data
    image = pyvips.Image.new_from_memory(flat, width, height, bands, FORMAT_OF[photo.depth])
    image = image.copy(interpretation=interpretation)
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _rounded_to_12_bits(pixels: AnyArray) -> AnyArray:
    """The nearest 12-bit levels, shifted left: libvips would cut the lowest four bits off."""
    levels = (pixels.astype(np.uint32) * 4095 + 32767) // 65535
    return (levels << 4).astype(np.uint16)
