"""Images of the Python Imaging Library, which mirnet itself does not need."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALPHA = {"LA": "L", "RGBA": "RGB"}
"""Modes with alpha, and the same without."""
PLAIN = ("L", "RGB", "I;16")


def is_pil(image: Any) -> bool:
    """Whether it is an image of PIL; if PIL was not imported, nothing is."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def through_array(image: Any, restore: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
    """The restored image, in the mode of ``image`` and with its alpha.

    Raises ValueError for a mode that is neither grey nor RGB.
    """
    if image.mode in ALPHA:
        restored = through_array(image.convert(ALPHA[image.mode]), restore)
        alpha = image.getchannel("A")
        if alpha.size != restored.size:
            alpha = alpha.resize(restored.size, sys.modules["PIL.Image"].Resampling.BICUBIC)
        restored.putalpha(alpha)
        return restored
    if image.mode not in PLAIN:
        known = ", ".join((*PLAIN, *ALPHA))
        raise ValueError(
            f"a PIL image has mode {known}, not {image.mode}; call convert('RGB') first"
        )
    restored = sys.modules["PIL.Image"].fromarray(restore(np.asarray(image)))
    restored.info = dict(image.info)  # its colour profile and EXIF
    return restored
