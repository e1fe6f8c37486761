"""HEIC files, encoded by libheif and x265."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def heic(
    pixels: NDArray[Any], *, bits: int = 8, is_premultiplied: bool = False, **options: Any
) -> bytes:
    """A file with this picture, ``(H, W, C)`` uint8 or uint16, with as little loss as can be."""
    mode = MODES[pixels.shape[2]] + ";16" * (pixels.dtype == np.uint16)
    mode = mode.replace("A", "a") if is_premultiplied else mode
    height, width = pixels.shape[:2]
    file = pillow_heif.from_bytes(mode=mode, size=(width, height), data=pixels.tobytes())
    return saved(file, bits=bits, **options)


def saved(file: pillow_heif.HeifFile, *, bits: int = 8, **options: Any) -> bytes:
    """The same as bytes."""
    target = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pillow_heif.options, "SAVE_HDR_TO_12_BIT", bits == 12)
        file.save(target, **{"quality": -1, "chroma": 444, **options})
    return target.getvalue()


def levels(content: bytes) -> NDArray[Any]:
    """The values as libheif decodes them, of 8, 10 or 12 bits, ``(H, W, C)``."""
    file = pillow_heif.open_heif(content, convert_hdr_to_8bit=False, hdr_to_16bit=False)
    picture = file[file.primary_index]
    array: NDArray[Any] = np.asarray(picture)
    return array.reshape(picture.size[1], picture.size[0], -1)


def with_numbers(content: bytes, primaries: int, transfer: int) -> bytes:
    """A file whose nclx says these colours."""
    at = content.index(b"nclx") + 4
    numbers = primaries.to_bytes(2, "big") + transfer.to_bytes(2, "big")
    return content[:at] + numbers + content[at + 4 :]
