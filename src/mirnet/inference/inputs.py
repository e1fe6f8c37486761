"""What a network can be given: the shapes, types and ranges of arrays and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mirnet.inference.treatment import Treatment
from mirnet.models.network_config import NetworkConfig
from mirnet.units import counted

OVERSHOOT = 0.1
"""By how much floats may leave [0, 1] before they are taken for another scale."""


def require_pictures(views: Sequence[NDArray[Any]], config: NetworkConfig) -> None:
    """Raise ValueError unless a network takes these pictures together and gives one in RGB.

    Each is ``(H, W, 3)`` or ``(H, W, 1)``, of integers or of floats in [0, 1].
    """
    for pixels in views:
        if np.issubdtype(pixels.dtype, np.floating) and pixels.size:
            _require_range(float(pixels.min()), float(pixels.max()))
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
            raise ValueError(f"an image is (H, W), (H, W, 1) or (H, W, 3), got {pixels.shape}")
    if config.out_channels != 3:
        raise ValueError(f"this network gives {config.out_channels} channels, not 3")
    channels = config.in_channels
    if channels != 3 * len(views):
        raise ValueError(
            f"this network takes {channels} channels, not the {3 * len(views)} of "
            f"{counted(len(views), 'picture')} in RGB; give `restore_photo` as many as it takes, "
            f"or a tensor (N, {channels}, H, W)"
        )
    if len({pixels.shape[:2] for pixels in views}) > 1:
        sizes = " and ".join(f"{pixels.shape[1]}×{pixels.shape[0]}" for pixels in views)
        raise ValueError(f"the views of a photo have one size, got {sizes}")


def require_batch(images: Tensor, config: NetworkConfig) -> None:
    """Raise ValueError unless it is ``(N, C, H, W)`` as a network takes it, of floats in [0, 1]."""
    if images.ndim != 4 or not images.is_floating_point() or 0 in images.shape:
        raise ValueError(
            f"a batch is a float tensor (N, C, H, W), got {images.dtype} {tuple(images.shape)}"
        )
    if images.shape[1] != config.in_channels:
        raise ValueError(
            f"the network takes (N, {config.in_channels}, H, W), got {tuple(images.shape)}"
        )
    _require_range(*map(float, images.aminmax()))


def require_treatable(treatment: Treatment, config: NetworkConfig) -> None:
    """Raise ValueError for a treatment that the channels of a network don't allow."""
    if treatment.strength < 1 and config.out_channels > config.in_channels:
        raise ValueError("strength: this network gives more channels than it could blend with")
    if (treatment.chroma_only or treatment.detail) and config.out_channels != 3:
        raise ValueError("chroma_only, detail: are for networks that give RGB")


def _require_range(low: float, high: float) -> None:
    if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):  # NaN is neither
        raise ValueError(
            f"floats must be in [0, 1], got {low:g} to {high:g}; divide 8-bit values by 255, "
            "16-bit values by 65535, and replace NaN"
        )
