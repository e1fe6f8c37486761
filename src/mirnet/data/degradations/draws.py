"""Random parameters and the checks of what degradations are called with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.errors import DataError

Array = NDArray[np.float32]
Span = tuple[float, float]
"""Lowest and highest value of a random parameter."""

LUMA: Array = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""The weights of linear sRGB in luminance."""


def log_uniform(rng: np.random.Generator, span: Span) -> float:
    """A value from ``span`` whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(span[0]), np.log(span[1]))))


def require_picture(clean: NDArray[Any]) -> None:
    """Raise `DataError` unless ``clean`` is a float32 ``(H, W, 3)`` picture."""
    if clean.dtype != np.float32 or clean.ndim != 3 or clean.shape[2] != 3 or clean.size == 0:
        raise DataError(
            f"a clean picture is {clean.dtype} of shape {clean.shape}: "
            "pass float32 (H, W, 3) RGB in [0, 1]"
        )


def require_span(
    name: str, span: Span, *, least: float, most: float = np.inf, exclusive: bool = False
) -> None:
    """Raise `DataError` unless ``span`` is ordered and within ``least`` and ``most``."""
    low, high = span
    if not (least < low if exclusive else least <= low) or not low <= high <= most:
        sign = ">" if exclusive else ">="
        limit = f" and at most {most:g}" if np.isfinite(most) else ""
        raise DataError(f"{name} is {span}: pass (low, high), low {sign} {least:g}{limit}")
