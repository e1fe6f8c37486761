"""A photo in memory: upright pixels, alpha and metadata."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mirnet.imaging.metadata import Metadata
from mirnet.imaging.quantize import quantize, to_float
from mirnet.imaging.resize import resized

AnyArray = NDArray[Any]
Depth = Literal["8", "16", "float"]

DEPTHS: dict[np.dtype[Any], Depth] = {
    np.dtype(np.uint8): "8",
    np.dtype(np.uint16): "16",
    np.dtype(np.float32): "float",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoHeader:
    """What is known of a photo file before its pixels are decoded."""

    height: int
    """Rows of the upright photo, that is, after its EXIF orientation was applied."""
    width: int
    channels: int
    """1 (grey) or 3 (RGB); alpha is not counted."""
    depth: Depth
    has_alpha: bool

    def __str__(self) -> str:
        """Size and kind in words."""
        kind = ("grey" if self.channels == 1 else "RGB") + " with alpha" * self.has_alpha
        bits = "float" if self.depth == "float" else f"{self.depth}-bit"
        return f"{self.width}×{self.height}, {bits} {kind}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Photo:
    """An upright photo. Pixel values are in the colours of ``metadata.icc``, never converted.

    Raises ValueError if the arrays don't have the shapes and types below.
    """

    pixels: AnyArray
    """``(H, W, 3)`` RGB or ``(H, W, 1)`` grey; uint8, uint16, or float32 in [0, 1]."""
    alpha: AnyArray | None = None
    """``(H, W)`` in the dtype of the pixels, carried through untouched."""
    metadata: Metadata = field(default_factory=Metadata)
    is_lossless: bool = False
    """Whether it was read from a file of a lossy format that lost nothing, so that it is written
    in such a way again."""
    notes: tuple[str, ...] = ()
    """What of its file is doubtful or was left out, a sentence each."""

    def __post_init__(self) -> None:
        """Check shapes and types."""
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            raise ValueError(f"pixels: must be (H, W, 1) or (H, W, 3) and not empty, got {shape}")
        if dtype not in DEPTHS:
            raise ValueError(f"pixels: must be uint8, uint16 or float32, got {dtype}")
        if self.alpha is None:
            return
        if self.alpha.shape != shape[:2] or self.alpha.dtype != dtype:
            raise ValueError(
                f"alpha: must be {dtype} {shape[:2]} like the pixels, "
                f"got {self.alpha.dtype} {self.alpha.shape}"
            )

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def is_grey(self) -> bool:
        """Whether there is one channel instead of three."""
        return bool(self.pixels.shape[2] == 1)

    @property
    def depth(self) -> Depth:
        """Bits per channel, or ``float``."""
        return DEPTHS[self.pixels.dtype]

    @property
    def header(self) -> PhotoHeader:
        """Size and kind."""
        return PhotoHeader(
            height=self.height,
            width=self.width,
            channels=int(self.pixels.shape[2]),
            depth=self.depth,
            has_alpha=self.alpha is not None,
        )

    def with_pixels(self, pixels: AnyArray) -> Self:
        """This photo with other pixels, and its own alpha and metadata.

        Args:
            pixels: ``(H, W, C)`` with the channels of this photo. Alpha is brought to their size,
                by cubic interpolation, and dtype.

        Raises:
            ValueError: the channels differ, or the dtype is none of a photo's.
        """
        if pixels.ndim != 3 or pixels.shape[2] != self.pixels.shape[2]:
            raise ValueError(
                f"pixels: must be (H, W, {self.pixels.shape[2]}) as in this photo, "
                f"got {pixels.shape}"
            )
        return replace(self, pixels=pixels, alpha=_fitted(self.alpha, pixels))


def _fitted(alpha: AnyArray | None, pixels: AnyArray) -> AnyArray | None:
    if alpha is None or (alpha.shape == pixels.shape[:2] and alpha.dtype == pixels.dtype):
        return alpha
    values = to_float(alpha)
    if alpha.shape != pixels.shape[:2]:
        values = resized(values[:, :, None], *pixels.shape[:2])[:, :, 0]
    return quantize(values, pixels.dtype)
