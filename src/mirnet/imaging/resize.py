"""Bring pictures to another size."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]


def resized(picture: Array, height: int, width: int) -> Array:
    """``(H, W, C)`` brought to another size by antialiased cubic interpolation, not clipped."""
    planes = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]
    back: Array = cubic(planes, height, width)[0].numpy().transpose(1, 2, 0)
    return np.ascontiguousarray(back)


def enlarged(images: Tensor, factor: int) -> Tensor:
    """``(N, C, H, W)`` floats ``factor`` times as high and wide, clipped to [0, 1]."""
    return cubic(images, images.shape[2] * factor, images.shape[3] * factor).clamp_(0, 1)


def cubic(images: Tensor, height: int, width: int) -> Tensor:
    """``(N, C, H, W)`` floats by antialiased cubic interpolation (a = -0.5), not clipped."""
    return F.interpolate(images, (height, width), mode="bicubic", antialias=True)
