"""Open photo files, and decode their pixels."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from mirnet.errors import DamagedPhotoError, PhotoError
from mirnet.imaging import formats
from mirnet.imaging.buffer import Buffer, FileView
from mirnet.imaging.containers.contents import ONE_PICTURE, Contents, UnusableError
from mirnet.imaging.damage import jpeg_fault
from mirnet.imaging.formats import Format
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


@dataclass(slots=True)
class Opened:
    """An open photo file, and what it holds."""

    path: Path
    kind: Format
    data: Buffer
    contents: Contents

    def head(self) -> bytes:
        """A bare file that is good for its header."""
        if self.contents.head is not None:
            return self.contents.head
        return self.contents.bare(self.data, HEAD if self.kind.head_is_enough else None)

    def image(self, bare: bytes, *, fail_on: str = "error") -> Any:
        """The lazy libvips image of a bare file."""
        try:
            with guarded():
                # A source, not a file name: libvips would remember the pixels of a name after the
                # file changed, and take "[…]" at the end of a name for options.
                source = pyvips.Source.new_from_memory(bare)
                options: dict[str, Any] = {"access": "sequential", "fail_on": fail_on}
                if self.kind.unlimited:
                    options["unlimited"] = True
                return pyvips.Operation.call(self.kind.loader, source, **options)
        except VipsError as error:
            raise PhotoError(
                f"{self.path}: truncated, damaged or no usual {self.kind.name} ({error}); "
                "get a fresh copy, or save it anew as 8- or 16-bit"
            ) from error


@contextmanager
def opened(path: Path, view: int | None = None) -> Iterator[Opened]:
    """Open a photo file and see what it holds; PhotoError if it is none that can be used.

    ``view`` is which of two pictures in the file, 0 or 1; without, it must hold one.
    """
    try:
        # A pipe or device would block the open, or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoError(f"{path}: is a folder or device; name a photo file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(f"{path}: can't be read ({reason}); check the name") from error
    with file:
        data = FileView(file)
        if not len(data):
            raise PhotoError(f"{path}: is empty; get a fresh copy")
        kind = formats.by_content(data[0:16])
        if isinstance(kind, str):
            raise PhotoError(f"{path}: {_advice(kind)}")
        try:
            yield Opened(path, kind, data, _contents(kind, data, view))
        except UnusableError as error:
            raise PhotoError(f"{path}: {error}") from error
        except OSError as error:
            raise PhotoError(f"{path}: can't be read ({error.strerror}); check the disk") from error


def _contents(kind: Format, data: Buffer, view: int | None) -> Contents:
    if view is None:
        return kind.inspect(data)
    if kind.inspect_view is None:
        raise UnusableError(ONE_PICTURE)
    return kind.inspect_view(data, view)


def _advice(kind: str) -> str:
    if kind == formats.RAW:
        return "is a RAW photo; develop it to a 16-bit TIFF first"
    return f"is {kind}; convert it to PNG or TIFF first"


def header_of(path: Path, image: Any, contents: Contents) -> PhotoHeader:
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


def decode(file: Opened, bare: bytes, *, allow_damaged: bool) -> tuple[AnyArray, tuple[str, ...]]:
    """The pixels ``(H, W, C)``, and a note if they are all that could be decoded."""
    fault = file.contents.damage
    if file.kind is formats.JPEG:
        fault = jpeg_fault(bare)
    if fault is None:
        try:
            # For JPEG `jpeg_fault` has looked at the warnings, and at more of them.
            fail_on = "error" if file.kind is formats.JPEG else "warning"
            return _pixels(file.image(bare, fail_on=fail_on)), ()
        except VipsError as error:
            fault = str(error)
    if not allow_damaged:
        raise DamagedPhotoError(f"{file.path}: truncated or damaged ({fault}); get a fresh copy")
    try:
        array = _pixels(file.image(bare, fail_on="none"))
    except VipsError as error:
        raise PhotoError(
            f"{file.path}: damaged beyond decoding ({error}); get a fresh copy"
        ) from error
    return array, (f"damaged ({fault}); what could be decoded was restored",)


def _pixels(image: Any) -> AnyArray:
    with guarded():
        array: AnyArray = np.asarray(image.numpy())
    return array.reshape(image.height, image.width, image.bands)
