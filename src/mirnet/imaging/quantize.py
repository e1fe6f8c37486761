"""Between the whole numbers of a file and the floats of a network. All rounding is done here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

AnyArray = NDArray[Any]


def to_float(array: AnyArray) -> NDArray[np.float32]:
    """The same values as float32 in [0, 1].

    Args:
        array: any shape; uint8 (divided by 255), uint16 (by 65535) or floating point, which must
            be in [0, 1] already and is not scaled. A float32 array is returned as it is.

    Raises:
        ValueError: the array has another type.
    """
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(np.float32, copy=False)
    scaled: NDArray[np.float32] = array.astype(np.float32)
    scaled /= peak(array.dtype)
    return scaled


def quantize(array: AnyArray, dtype: DTypeLike) -> AnyArray:
    """The nearest values that ``dtype`` can hold: clipped to [0, 1], halves rounded up.

    Args:
        array: one dimension or more, floating point and finite; [0, 1] is black to white.
        dtype: uint8 (0…255), uint16 (0…65535) or floating point, which is clipped, not scaled.

    Returns:
        A new array of the same shape.

    Raises:
        ValueError: dtype is another type.
    """
    if np.issubdtype(dtype, np.floating):
        return np.clip(array, 0, 1).astype(dtype, copy=False)
    white = peak(dtype)
    result: AnyArray = np.empty(array.shape, dtype)
    # In float64: float32 rounds some values up that lie just below a half. A plane (or row) after
    # the other: the float copy of a large photo would be its biggest array.
    for i in range(len(array)):
        result[i] = np.floor(np.clip(array[i], 0, 1, dtype=np.float64) * white + 0.5)
    return result


def to_planes(pixels: AnyArray) -> NDArray[np.float32]:
    """Pixels as a network takes them: planes first, float32 in [0, 1], always three of them.

    Args:
        pixels: ``(H, W, 3)`` RGB or ``(H, W, 1)`` grey; uint8, uint16 or floating point in [0, 1].

    Returns:
        A new array ``(3, H, W)``; grey is repeated in all three planes.

    Raises:
        ValueError: pixels have another shape or type.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(f"pixels are (H, W, 1) or (H, W, 3), got {pixels.shape}")
    planes = np.moveaxis(to_float(pixels), 2, 0)
    return np.repeat(planes, 3, axis=0) if len(planes) == 1 else planes.copy(order="C")


def from_planes(planes: AnyArray, *, channels: int, dtype: DTypeLike) -> AnyArray:
    """What a network gave, as pixels; the inverse of ``to_planes``, exact for uint8 and uint16.

    Args:
        planes: ``(3, H, W)``, floating point and finite; clipped to [0, 1].
        channels: 3 for RGB, 1 for grey, which is the mean of the three planes.
        dtype: of the result: uint8, uint16 or floating point.

    Returns:
        ``(H, W, channels)``, contiguous.

    Raises:
        ValueError: planes have another shape, channels is not 1 or 3, or dtype another type.
    """
    if planes.ndim != 3 or len(planes) != 3:
        raise ValueError(f"planes are (3, H, W), got {planes.shape}")
    if channels not in (1, 3):
        raise ValueError(f"a photo has 1 or 3 channels, not {channels}")
    if channels == 1:
        mean = planes.mean(axis=0, keepdims=True)
        # The mean of three equal numbers can miss them by a bit, and grey is to come back exactly.
        planes = mean.clip(planes.min(axis=0), planes.max(axis=0))
    return np.ascontiguousarray(np.moveaxis(quantize(planes, dtype), 0, 2))


def peak(dtype: DTypeLike) -> int:
    """The value of white in a whole-number type: 255 or 65535. ValueError for another type."""
    kind = np.dtype(dtype)
    if kind not in (np.uint8, np.uint16):
        raise ValueError(f"pixels are uint8, uint16 or floating point in [0, 1], not {kind}")
    return int(np.iinfo(kind).max)
