"""Colour as MATLAB has it, where the field's scores depend on it."""

from __future__ import annotations

import torch
from torch import Tensor

# ITU-R BT.601 luma with its "studio swing": black is 16, white is 235. The weights are in
# thousandths: whole numbers, so that halves are met exactly on every machine.
LUMA_WEIGHTS = (65481, 128553, 24966)
LUMA_OFFSET = 16
LUMA_UNIT = 255 * 1000


def rgb_to_y(image: Tensor) -> Tensor:
    """The luma that MATLAB's ``rgb2ycbcr`` gives for a uint8 image.

    ``Y = round(16 + (65.481 R + 128.553 G + 24.966 B) / 255)`` with R, G, B in 0…255, halves up.

    Args:
        image: ``(N, 3, H, W)``, floating point in [0, 1], holding 8-bit values k/255. Values
            between those levels are brought to the nearest one, as if the image had been saved.

    Returns:
        ``(N, 1, H, W)`` in the dtype of ``image``: whole numbers from 16 to 235, **on the scale
        0…255, not in [0, 1]**, since what uses them has a peak of 255.

    Raises:
        ValueError: the image does not have this shape or is not floating point.
    """
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"image: must be RGB of shape (N, 3, H, W), got {tuple(image.shape)}")
    if not image.is_floating_point():
        raise ValueError(
            f"image: must be floating point in [0, 1], got {image.dtype}; divide by 255"
        )
    # float64 holds the weighted sums exactly; Apple's GPUs don't have it.
    reachable = image.cpu() if image.device.type == "mps" else image
    red, green, blue = reachable.double().mul(255).round_().unbind(dim=1)
    weighted = LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[1] * green + LUMA_WEIGHTS[2] * blue
    # MATLAB rounds halves up where torch.round would take the even neighbour.
    luma = torch.floor((weighted + (LUMA_OFFSET + 0.5) * LUMA_UNIT) / LUMA_UNIT)
    return luma.unsqueeze(1).to(device=image.device, dtype=image.dtype)
