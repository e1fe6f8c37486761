"""Read and write photo files."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyvips
from numpy.typing import NDArray

from mirnet.atomic import replacing
from mirnet.errors import PhotoError
from mirnet.imaging import embedded, formats
from mirnet.imaging.formats import FORMATS, Format
from mirnet.imaging.photo import Depth, Photo, PhotoHeader

AnyArray = NDArray[Any]

SUFFIXES = frozenset(FORMATS)
"""Lower-case suffixes of the files that can be read and written."""

COLOURS = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb16": 3, "scrgb": 3}
"""The libvips interpretations that are photos, and their channels without alpha."""
INTERPRETATIONS = {
    (1, "8"): "b-w", (1, "16"): "grey16", (1, "float"): "b-w",
    (3, "8"): "srgb", (3, "16"): "rgb16", (3, "float"): "scrgb",
}  # fmt: skip
DEPTH_OF: dict[str, Depth] = {"uchar": "8", "ushort": "16", "float": "float"}
FORMAT_OF = {depth: name for name, depth in DEPTH_OF.items()}

# EXIF orientation → (transpose, then flip rows, flip columns) that makes the photo upright.
UPRIGHT = {
    1: (False, False, False), 2: (False, False, True), 3: (False, True, True),
    4: (False, True, False), 5: (True, False, False), 6: (True, False, True),
    7: (True, True, True), 8: (True, True, False),
}  # fmt: skip

# Float files may overshoot [0, 1] by this much, from resampling or rounding; it is clipped.
OVERSHOOT = 1e-3


def read_photo(path: str | Path) -> Photo:
    """Read a PNG, JPEG, TIFF, WebP or AVIF file, upright.

    The format is told by the content, not by the name. Palettes become RGB, one bit becomes 8-bit
    grey, 10 and 12 bits of AVIF become 16. Values are not converted between colour spaces.

    Raises:
        PhotoError: the file is missing, not a photo, damaged, or of a kind that is not supported.
    """
    path = Path(path)
    with _opened(path) as (image, kind, file):
        header = _header(path, image)
        array = np.asarray(_decode(path, image)).reshape(image.height, image.width, image.bands)
        metadata = embedded.extract(image, file if kind is formats.TIFF else None)
    array = _upright(_full_range(array, image), embedded.orientation(image))
    pixels = np.ascontiguousarray(array[:, :, : header.channels])
    if header.depth == "float":
        pixels = _checked_range(path, pixels)
    alpha = np.ascontiguousarray(array[:, :, -1]) if header.has_alpha else None
    return Photo(pixels=pixels, alpha=alpha, metadata=metadata)


def read_header(path: str | Path) -> PhotoHeader:
    """Size and kind of a photo file, without decoding its pixels. Raises as ``read_photo``."""
    path = Path(path)
    with _opened(path) as (image, _, _):
        return _header(path, image)


def write_photo(photo: Photo, path: str | Path, *, quality: int = 95) -> None:
    """Write a photo file whole or not at all; equal photos give equal bytes.

    EXIF, XMP, ICC and IPTC are written where the format can hold them; a colour profile only if
    it is for the channels that are written (WebP and AVIF turn grey into RGB).

    Args:
        photo: what to write; its depth is kept. AVIF stores 16 bits as 12.
        path: the file; its suffix decides the format, and its folder must exist.
        quality: of JPEG, WebP and AVIF, 1–100. PNG and TIFF are lossless.

    Raises:
        PhotoError: the format can't hold the photo, or the file can't be written. A file that was
            there before is then still there.
        ValueError: quality is not from 1 to 100.
    """
    path = Path(path)
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is from 1 to 100, got {quality}")
    check_writable(photo.header, path)
    kind = formats.by_suffix(path)
    try:
        image = embedded.attach(_image(photo, kind), photo.metadata, kind)
        encoded = kind.encode(image, quality)
    except pyvips.Error as error:
        raise PhotoError(
            f"{path}: {kind.name} encoding failed ({formats.reason(error)}); choose another format"
        ) from error
    if kind is formats.TIFF:
        encoded = embedded.complete_tiff(encoded, photo.metadata)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(encoded)
    except OSError as error:
        raise PhotoError(f"{path}: can't be written ({error.strerror}); name another") from error


def check_writable(header: PhotoHeader, path: str | Path) -> None:
    """Raise PhotoError, as ``write_photo`` would, if such a photo can't be written to ``path``."""
    path = Path(path)
    formats.by_suffix(path).require(header, path)
    if not path.parent.is_dir():
        raise PhotoError(f"{path}: the folder {path.parent} does not exist; make it first")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Format, BinaryIO]]:
    """A file's lazy libvips image, its format, and the open file."""
    try:
        # A pipe or device would block the open, or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoError(f"{path}: is a folder or device; name a photo file")
        # Unbuffered: libvips shares the position in the file.
        file = path.open("rb", buffering=0)
    except OSError as error:
        raise PhotoError(f"{path}: can't be read ({error.strerror}); check the name") from error
    with file:
        kind = _sniffed(path, file)
        # A source, not a file name: libvips would remember the pixels of a name after the file
        # changed, and take "[…]" at the end of a name for options.
        source = pyvips.Source.new_from_descriptor(file.fileno())
        try:
            image = pyvips.Operation.call(kind.loader, source, access="sequential", fail_on="error")
        except pyvips.Error as error:
            raise PhotoError(
                f"{path}: truncated, damaged or no usual {kind.name} ({formats.reason(error)}); "
                "get a fresh copy, or save it anew as 8- or 16-bit"
            ) from error
        yield image, kind, file


def _sniffed(path: Path, file: BinaryIO) -> Format:
    head = file.read(16)
    if not head:
        raise PhotoError(f"{path}: is empty; get a fresh copy")
    kind = formats.by_content(head)
    if kind is None:
        raise PhotoError(f"{path}: is not a PNG, JPEG, TIFF, WebP or AVIF file; convert it to one")
    if formats.is_animated(file):
        raise PhotoError(f"{path}: is animated; extract the frame that you want")
    file.seek(0)
    return kind


def _header(path: Path, image: Any) -> PhotoHeader:
    """The header of an opened image; PhotoError if it is of a kind that isn't supported."""
    pages = embedded.field(image, "n-pages", 1)
    if pages > 1:
        raise PhotoError(f"{path}: holds {pages} pages or frames; extract the one that you want")
    channels = COLOURS.get(image.interpretation)
    if channels is None or image.bands - channels not in (0, 1):
        raise PhotoError(
            f"{path}: has {image.bands} channels of {image.interpretation.upper()} colour; "
            "convert it to RGB or grey first"
        )
    if image.format not in DEPTH_OF:
        raise PhotoError(
            f"{path}: has {image.format} pixels; save it as 8-bit, 16-bit or 32-bit float first"
        )
    transpose = UPRIGHT[embedded.orientation(image)][0]
    return PhotoHeader(
        height=image.width if transpose else image.height,
        width=image.height if transpose else image.width,
        channels=channels,
        depth=DEPTH_OF[image.format],
        has_alpha=image.bands > channels,
    )


def _decode(path: Path, image: Any) -> AnyArray:
    try:
        array: AnyArray = image.numpy()
    except pyvips.Error as error:
        raise PhotoError(
            f"{path}: truncated or damaged ({formats.reason(error)}); get a fresh copy"
        ) from error
    return array


def _full_range(array: AnyArray, image: Any) -> AnyArray:
    """AVIF's 10 and 12 bits, which libvips shifts left, spread so that white is 65535."""
    bits = embedded.field(image, "bits-per-sample", 16)
    is_avif = bool(image.get_typeof("heif-compression"))
    if not is_avif or array.dtype != np.uint16:
        return array
    white = (1 << bits) - 1
    levels = (array >> (16 - bits)).astype(np.uint32)
    spread: AnyArray = (levels * 65535 + white // 2) // white
    return spread.astype(np.uint16)


def _upright(array: AnyArray, orientation: int) -> AnyArray:
    transpose, flip_rows, flip_columns = UPRIGHT[orientation]
    if transpose:
        array = array.swapaxes(0, 1)
    return array[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _checked_range(path: Path, pixels: AnyArray) -> AnyArray:
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite(low + high):
        raise PhotoError(f"{path}: holds NaN or infinite values; replace them first")
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise PhotoError(
            f"{path}: holds values from {low:g} to {high:g}; bring float pixels into [0, 1] first"
        )
    return np.clip(pixels, 0, 1)


def _image(photo: Photo, kind: Format) -> Any:
    """The photo as a libvips image, without metadata."""
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
    return image.copy(interpretation=interpretation)


def _rounded_to_12_bits(pixels: AnyArray) -> AnyArray:
    """The nearest 12-bit levels, shifted left: libvips would cut the lowest four bits off."""
    levels = (pixels.astype(np.uint32) * 4095 + 32767) // 65535
    return (levels << 4).astype(np.uint16)
