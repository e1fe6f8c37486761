"""Crops and flips, applied to all pictures of a pair alike."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Augmentation = Literal["horizontal-flip", "vertical-flip", "transpose"]
"""The paper flips both ways (Sec. 4.2); the transpose adds the quarter turns."""


def random_crop(
    pictures: list[NDArray[Any]], size: int, rng: np.random.Generator
) -> list[NDArray[Any]]:
    """The same ``size``×``size`` window of each ``(H, W, C)`` picture, as views."""
    height, width = pictures[0].shape[:2]
    top = int(rng.integers(height - size + 1))
    left = int(rng.integers(width - size + 1))
    return [picture[top : top + size, left : left + size] for picture in pictures]


def random_flips(
    pictures: list[NDArray[Any]], kinds: tuple[Augmentation, ...], rng: np.random.Generator
) -> list[NDArray[Any]]:
    """Each kind with probability 1/2, the same for all ``(H, W, C)`` pictures, as views."""
    for kind in kinds:
        if rng.random() < 0.5:
            pictures = [_flip(picture, kind) for picture in pictures]
    return pictures


def _flip(picture: NDArray[Any], kind: Augmentation) -> NDArray[Any]:
    if kind == "transpose":
        return picture.transpose(1, 0, 2)
    return picture[:, ::-1] if kind == "horizontal-flip" else picture[::-1]


def shrunk(planes: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """``(C, H, W)`` averaged over ``factor``×``factor`` pixels; both sides are multiples of it."""
    if factor == 1:
        return planes
    channels, height, width = planes.shape
    blocks = planes.reshape(channels, height // factor, factor, width // factor, factor)
    means: NDArray[np.float32] = blocks.mean(axis=(2, 4))
    return means
