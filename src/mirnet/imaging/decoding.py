"""Decode the pixels of photo files: by libvips, or by a decoder in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from mirnet.errors import DamagedPhotoError, PhotoError
from mirnet.imaging import formats
from mirnet.imaging.apart.process import DecoderError, MissingDecoderError, ask
from mirnet.imaging.apart.worker import Picture
from mirnet.imaging.containers.contents import Contents
from mirnet.imaging.damage import jpeg_fault
from mirnet.imaging.formats import Format, Original
from mirnet.imaging.opening import Opened, missing
from mirnet.imaging.photo import Depth, PhotoHeader
from mirnet.imaging.vips import VipsError, guarded

AnyArray = NDArray[Any]

COLOURS = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb16": 3, "scrgb": 3}
"""The libvips interpretations that are photos, and their channels without alpha."""
DEPTH_OF: dict[str, Depth] = {"uchar": "8", "ushort": "16", "float": "float"}

# EXIF orientation → (transpose, then flip rows, flip columns) that makes the photo upright.
UPRIGHT = {
    1: (False, False, False), 2: (False, False, True), 3: (False, True, True),
    4: (False, True, False), 5: (True, False, False), 6: (True, False, True),
    7: (True, True, True), 8: (True, True, False),
}  # fmt: skip

HEAD = 1 << 20
"""Bytes of a bare file that tell its size and kind."""
MOST_BYTES = 1 << 30
"""Of a file that goes to a decoder in a process of its own."""
FULL, ROWS = 16, 64
"""Bits of a value of two bytes, and how many rows are spread to them at once."""


def header_of(file: Opened) -> PhotoHeader:
    """Size and kind; PhotoError if it is of a kind that isn't supported."""
    if isinstance(file.kind, Original):
        return _told(file, file.kind)
    contents = file.contents
    head = contents.head
    if head is None:
        head = contents.bare(file.data, HEAD if file.kind.head_is_enough else None)
    return _header(file.path, _image(file, file.kind, head), contents)


def decode(
    file: Opened, header: PhotoHeader | None, *, allow_damaged: bool
) -> tuple[PhotoHeader, AnyArray, tuple[str, ...]]:
    """Size and kind, the upright pixels ``(H, W, C)``, and notes, as that they are but a part.

    ``header`` is what `header_of` said before, if it was asked: a decoder is not asked twice.
    """
    if isinstance(file.kind, Original):
        return _decode_apart(file, file.kind, header, allow_damaged=allow_damaged)
    bare = file.contents.bare(file.data)
    image = _image(file, file.kind, bare)
    header = _header(file.path, image, file.contents)
    array, notes = _decode(file, file.kind, bare, allow_damaged=allow_damaged)
    if image.get_typeof("heif-compression") and array.dtype == np.uint16:
        bits = image.get("bits-per-sample") if image.get_typeof("bits-per-sample") else 16
        _spread(array, bits)
    return header, _upright(array, file.contents.orientation), notes


def _image(file: Opened, kind: Format, bare: bytes, *, fail_on: str = "error") -> Any:
    """The lazy libvips image of a bare file."""
    try:
        with guarded():
            # A source, not a file name: libvips would remember the pixels of a name after the
            # file changed, and take "[…]" at the end of a name for options.
            source = pyvips.Source.new_from_memory(bare)
            options: dict[str, Any] = {"access": "sequential", "fail_on": fail_on}
            if kind.unlimited:
                options["unlimited"] = True
            return pyvips.Operation.call(kind.loader, source, **options)
    except VipsError as error:
        raise PhotoError(
            f"{file.path}: truncated, damaged or no usual {kind.name} ({error}); "
            "get a fresh copy, or save it anew as 8- or 16-bit"
        ) from error


def _header(path: Path, image: Any, contents: Contents) -> PhotoHeader:
    """The header of an opened image; PhotoError if it is of a kind that isn't supported."""
    pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
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
    transpose = UPRIGHT[contents.orientation][0]
    return PhotoHeader(
        height=image.width if transpose else image.height,
        width=image.height if transpose else image.width,
        channels=channels,
        depth=DEPTH_OF[image.format],
        has_alpha=image.bands > channels,
    )


def _decode(
    file: Opened, kind: Format, bare: bytes, *, allow_damaged: bool
) -> tuple[AnyArray, tuple[str, ...]]:
    """The pixels ``(H, W, C)``, and a note if they are all that could be decoded."""
    fault = file.contents.damage
    if kind is formats.JPEG:
        fault = jpeg_fault(bare)
    if fault is None:
        try:
            # For JPEG `jpeg_fault` has looked at the warnings, and at more of them.
            fail_on = "error" if kind is formats.JPEG else "warning"
            return _pixels(_image(file, kind, bare, fail_on=fail_on)), ()
        except VipsError as error:
            fault = str(error)
    if not allow_damaged:
        raise _damaged(file, fault)
    try:
        array = _pixels(_image(file, kind, bare, fail_on="none"))
    except VipsError as error:
        raise PhotoError(
            f"{file.path}: damaged beyond decoding ({error}); get a fresh copy"
        ) from error
    return array, (_partial(fault),)


def _pixels(image: Any) -> AnyArray:
    with guarded():
        array: AnyArray = np.asarray(image.numpy())
    return array.reshape(image.height, image.width, image.bands)


def _told(file: Opened, kind: Original) -> PhotoHeader:
    """Size and kind, as the container says them, or its decoder."""
    if file.contents.header:
        return file.contents.header
    picture, _ = _ask(file, kind, _whole(file, kind), pixels=None)
    return _told_by(picture)


def _whole(file: Opened, kind: Original) -> bytes:
    """All that its decoder needs, in memory; PhotoError if that is out of all proportion."""
    if len(file.data) > MOST_BYTES:
        raise PhotoError(
            f"{file.path}: has {len(file.data) / 2**30:.1f} GiB, more than {kind.name} is read of "
            f"({MOST_BYTES >> 30} GiB); convert it to TIFF first"
        )
    return file.contents.bare(file.data)


def _ask(
    file: Opened, kind: Original, bare: bytes, *, pixels: int | None
) -> tuple[Picture, AnyArray]:
    try:
        return ask(kind.decoder, bare, pixels=pixels)
    except MissingDecoderError as error:
        raise missing(kind, file.path) from error
    except DecoderError as error:
        raise PhotoError(f"{file.path}: can't be decoded ({error}); {error.remedy}") from error


def _decode_apart(
    file: Opened, kind: Original, header: PhotoHeader | None, *, allow_damaged: bool
) -> tuple[PhotoHeader, AnyArray, tuple[str, ...]]:
    header = header or _told(file, kind)
    bare = _whole(file, kind)
    fault = file.contents.damage or (kind.fault(bare) if kind.fault else None)
    if fault and not allow_damaged:
        raise _damaged(file, fault)
    picture, array = _ask(file, kind, bare, pixels=header.height * header.width)
    if header.channels == 1 and picture.channels == 4:  # libheif repeats grey that has alpha
        array, picture = array[:, :, [0, 3]], picture._replace(channels=2)
    if _told_by(picture) != header:
        raise PhotoError(
            f"{file.path}: is {_told_by(picture)}, and its header says {header}; get a fresh copy, "
            "or convert it to TIFF first"
        )
    if array.dtype == np.uint16:
        _spread(array, picture.bits)
    return header, array, (*([_partial(fault)] if fault else []), *picture.notes)


def _told_by(picture: Picture) -> PhotoHeader:
    return PhotoHeader(
        height=picture.height,
        width=picture.width,
        channels=3 if picture.channels >= 3 else 1,
        depth="8" if picture.bits == 8 else "16",
        has_alpha=picture.channels in (2, 4),
    )


def _damaged(file: Opened, fault: str) -> DamagedPhotoError:
    return DamagedPhotoError(f"{file.path}: truncated or damaged ({fault}); get a fresh copy")


def _partial(fault: str) -> str:
    return f"damaged ({fault}); what could be decoded was restored"


def _spread(array: AnyArray, bits: int) -> None:
    """Spread values of 10 and 12 bits, which were shifted left, so that white is 65535."""
    if bits >= FULL:
        return
    white = (1 << bits) - 1
    for start in range(0, len(array), ROWS):  # in place: a photo may be large
        rows = array[start : start + ROWS]
        levels = (rows >> (FULL - bits)).astype(np.uint32)
        rows[...] = (levels * 65535 + white // 2) // white


def _upright(array: AnyArray, orientation: int) -> AnyArray:
    transpose, flip_rows, flip_columns = UPRIGHT[orientation]
    if transpose:
        array = array.swapaxes(0, 1)
    return array[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
