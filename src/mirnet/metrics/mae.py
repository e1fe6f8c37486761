"""Mean absolute error."""

from __future__ import annotations

from torch import Tensor

from mirnet.metrics.inputs import checked_pair, require_data_range


def mae(output: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """Mean absolute difference of each image as a part of ``data_range``; lower is closer.

    Being relative, it is the same number whether the images lie in [0, 1] or in 0…255, as PSNR and
    SSIM are.

    Args:
        output: ``(N, C, H, W)``, any real dtype.
        target: same shape.
        data_range: what lies between black and white: 1 or 255. It is never guessed from pixels.

    Returns:
        ``(N,)`` in float64; 0 for identical images, 1 for black against white.

    Raises:
        ValueError: shapes differ or are not ``(N, C, H, W)``, or ``data_range`` is not above 0.
        NonFiniteError: a value is NaN or infinite.
    """
    require_data_range(data_range)
    output, target = checked_pair(output, target)
    return (output - target).abs().mean(dim=(1, 2, 3)) / data_range
