"""Peak signal-to-noise ratio."""

from __future__ import annotations

import torch
from torch import Tensor

from mirnet.metrics.inputs import checked_pair, require_data_range


def psnr(output: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """``10 · log10(data_range² / MSE)`` of each image, in dB; higher is closer.

    The mean squared error goes over all channels and pixels of an image together.

    Args:
        output: ``(N, C, H, W)``, any real dtype.
        target: same shape.
        data_range: what lies between black and white: 1 or 255. It is never guessed from pixels.

    Returns:
        ``(N,)`` in float64; infinite for identical images.

    Raises:
        ValueError: shapes differ or are not ``(N, C, H, W)``, or ``data_range`` is not above 0.
        NonFiniteError: a value is NaN or infinite.
    """
    require_data_range(data_range)
    output, target = checked_pair(output, target)
    squared_error = (output - target).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(data_range**2 / squared_error)
