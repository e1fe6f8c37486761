"""Crops and flips, applied to all pictures of a pair alike."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mirnet.data.picture import Region

Augmentation = Literal["horizontal-flip", "vertical-flip", "transpose"]
"""The paper flips both ways (Sec. 4.2); the transpose adds the quarter turns."""


def random_region(size: tuple[int, int], side: int, rng: np.random.Generator) -> Region:
    """A ``side``×``side`` window of a picture of this height and width."""
    height, width = size
    top = int(rng.integers(height - side + 1))
    left = int(rng.integers(width - side + 1))
    return Region(top, left, side, side)


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


def mixed(
    one: tuple[NDArray[np.float32], ...], other: tuple[NDArray[np.float32], ...], share: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """``share`` of a sample's views and target, the rest of another's (mixup)."""
    weight = np.float32(share)
    views, target = (weight * a + (1 - weight) * b for a, b in zip(one, other, strict=True))
    return views, target


def shrunk(planes: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """``(C, H, W)`` averaged over ``factor``×``factor`` pixels; both sides are multiples of it."""
    if factor == 1:
        return planes
    channels, height, width = planes.shape
    blocks = planes.reshape(channels, height // factor, factor, width // factor, factor)
    means: NDArray[np.float32] = blocks.mean(axis=(2, 4))
    return means
