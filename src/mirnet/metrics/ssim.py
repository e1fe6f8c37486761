"""Structural similarity, in the three forms that the field's tables mix.

All three compare means, variances and the covariance in a sliding window (Wang et al., "Image
quality assessment: from error visibility to structural similarity", 2004, eq. 13) with K1 = 0.01
and K2 = 0.03. They differ in the window, in what happens at the border and in how channels count.
The same pair can score 0.72 in one form and 0.60 in another: name the form beside the number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mirnet.metrics.inputs import checked_pair, require_data_range

K1 = 0.01
K2 = 0.03
# A map of local statistics takes as much memory as the image, and there are a dozen of them.
# Working on this many rows at a time keeps them small for photos of any size.
BAND_ROWS = 256


def _gaussian(reach: int, sigma: float) -> tuple[float, ...]:
    raw = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(-reach, reach + 1)]
    return tuple(value / sum(raw) for value in raw)


GAUSSIAN = _gaussian(reach=5, sigma=1.5)
UNIFORM = (1 / 7,) * 7


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """How a form of SSIM takes its local statistics.

    Attributes:
        size: rows and columns of the window.
        smooth: the windowed means of ``(C, H, W)``, ``(C, H - size + 1, W - size + 1)``.
        bias: what variances are multiplied by: 1 for a population's, n / (n - 1) for a sample's.
    """

    size: int
    smooth: Callable[[Tensor], Tensor]
    bias: float


def ssim_volume(output: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """SSIM of each image as MATLAB's ``ssim`` gives it by default for an H×W×3 array.

    MATLAB takes such an array for a volume: the window is an 11×11×11 Gaussian (σ = 1.5) that also
    reaches across the channels. Borders are replicated on every side, so the map has full size.

    Args:
        output: ``(N, C, H, W)``, any real dtype, any size.
        target: same shape.
        data_range: what lies between black and white: 1 or 255. It is never guessed from pixels.

    Returns:
        ``(N,)`` in float64, at most 1 up to rounding; 1 for identical images.

    Raises:
        ValueError: shapes differ or are not ``(N, C, H, W)``, or ``data_range`` is not above 0.
        NonFiniteError: a value is NaN or infinite.
    """
    require_data_range(data_range)
    output, target = checked_pair(output, target)
    mixing = _replicated_mixing(output.shape[1], GAUSSIAN).to(output.device)

    def smooth(image: Tensor) -> Tensor:
        smoothed: Tensor = torch.tensordot(mixing, _smooth_valid(image, GAUSSIAN), dims=1)
        return smoothed

    window = _Window(size=len(GAUSSIAN), smooth=smooth, bias=1.0)
    scores = output.new_empty(len(output))
    for i in range(len(output)):
        x, y = _replicate_border(torch.stack((output[i], target[i])), window.size // 2)
        scores[i] = _mean_ssim(x, y, window, data_range)
    return scores


def ssim_wang(output: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """SSIM of each image as in Wang's ``ssim_index``, the mean over channels if there are several.

    The window is an 11×11 Gaussian (σ = 1.5) and only positions where it fits in the image count.

    Args:
        output: ``(N, C, H, W)``, any real dtype, at least 11×11.
        target: same shape.
        data_range: what lies between black and white: 1 or 255. It is never guessed from pixels.

    Returns:
        ``(N,)`` in float64, at most 1 up to rounding; 1 for identical images.

    Raises:
        ValueError: shapes differ, are not ``(N, C, H, W)`` or are smaller than the window, or
            ``data_range`` is not above 0.
        NonFiniteError: a value is NaN or infinite.
    """
    return _ssim_valid(output, target, GAUSSIAN, 1.0, data_range)


def ssim_uniform(output: Tensor, target: Tensor, *, data_range: float) -> Tensor:
    """SSIM of each image as scikit-image's ``structural_similarity`` gives it by default.

    The window is 7×7 with equal weights, variances are those of a sample (times 49/48), and the
    outer 3 pixels of the map are cut off before the mean, which goes over the channels too.

    Args:
        output: ``(N, C, H, W)``, any real dtype, at least 7×7.
        target: same shape.
        data_range: what lies between black and white: 1 or 255. It is never guessed from pixels.

    Returns:
        ``(N,)`` in float64, at most 1 up to rounding; 1 for identical images.

    Raises:
        ValueError: shapes differ, are not ``(N, C, H, W)`` or are smaller than the window, or
            ``data_range`` is not above 0.
        NonFiniteError: a value is NaN or infinite.
    """
    samples = len(UNIFORM) ** 2
    return _ssim_valid(output, target, UNIFORM, samples / (samples - 1), data_range)


def _ssim_valid(
    output: Tensor, target: Tensor, weights: tuple[float, ...], bias: float, data_range: float
) -> Tensor:
    require_data_range(data_range)
    output, target = checked_pair(output, target)
    window = _Window(
        size=len(weights), smooth=lambda image: _smooth_valid(image, weights), bias=bias
    )
    _require_room(output, window.size)
    scores = output.new_empty(len(output))
    for i in range(len(output)):
        scores[i] = _mean_ssim(output[i], target[i], window, data_range)
    return scores


def _require_room(images: Tensor, size: int) -> None:
    height, width = images.shape[-2:]
    if min(height, width) < size:
        raise ValueError(
            f"images of {height}×{width} pixels are smaller than the {size}×{size} window of this "
            "SSIM; ssim_volume (protocol lol) takes images of any size"
        )


def _mean_ssim(output: Tensor, target: Tensor, window: _Window, data_range: float) -> Tensor:
    """The mean of the SSIM map of one image ``(C, H, W)``, made band by band."""
    channels, height, width = output.shape
    rows, columns = height - window.size + 1, width - window.size + 1
    total = output.new_zeros(())
    for top in range(0, rows, BAND_ROWS):
        band = slice(top, min(top + BAND_ROWS, rows) + window.size - 1)
        total += _ssim_map(output[:, band], target[:, band], window, data_range).sum()
    return total / (channels * rows * columns)


def _ssim_map(x: Tensor, y: Tensor, window: _Window, data_range: float) -> Tensor:
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    smooth, bias = window.smooth, window.bias
    mean_x, mean_y = smooth(x), smooth(y)
    variances = bias * ((smooth(x * x) - mean_x**2) + (smooth(y * y) - mean_y**2))
    covariance = bias * (smooth(x * y) - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)


def _smooth_valid(image: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted means over rows and columns, where the window fits in the image."""
    return _smooth_axis(_smooth_axis(image, weights, dim=1), weights, dim=2)


def _smooth_axis(image: Tensor, weights: tuple[float, ...], dim: int) -> Tensor:
    # Adding shifted views needs one map of memory; a float64 conv2d on the CPU unfolds the image.
    length = image.shape[dim] - len(weights) + 1
    total = weights[0] * image.narrow(dim, 0, length)
    for offset, weight in enumerate(weights[1:], start=1):
        total.add_(image.narrow(dim, offset, length), alpha=weight)
    return total


def _replicate_border(pair: Tensor, reach: int) -> Tensor:
    """``(2, C, H, W)`` with its outermost rows and columns repeated ``reach`` times."""
    return F.pad(pair, (reach, reach, reach, reach), mode="replicate")


def _replicated_mixing(channels: int, weights: tuple[float, ...]) -> Tensor:
    """The ``(C, C)`` matrix that smooths along channels, the first and the last one replicated."""
    reach = len(weights) // 2
    mixing = torch.zeros(channels, channels, dtype=torch.float64)
    for channel in range(channels):
        for offset, weight in enumerate(weights, start=-reach):
            mixing[channel, min(max(channel + offset, 0), channels - 1)] += weight
    return mixing
