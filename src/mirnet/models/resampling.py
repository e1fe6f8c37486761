"""The steps between two neighbouring streams of a multi-scale residual block."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Downsample(nn.Sequential):
    """Half the resolution and more channels: 2×2 average, then a 1×1 convolution.

    ``(N, in_channels, H, W)`` → ``(N, out_channels, ⌈H/2⌉, ⌈W/2⌉)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Make the pooling and its convolution."""
        super().__init__(
            nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
        )


class Upsample(nn.Module):
    """Twice the resolution and fewer channels: a 1×1 convolution, then bilinear ×2.

    ``(N, in_channels, H, W)`` → ``(N, out_channels, 2H, 2W)``.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Make the convolution and the interpolation."""
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.interpolate = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)

    def forward(self, features: Tensor) -> Tensor:
        """Narrow first, so that the interpolation touches fewer channels."""
        result: Tensor = self.interpolate(self.conv(features))
        return result

    def mean(self, pooled: Tensor) -> Tensor:
        """The mean of the output from that of the input, ``(N, in_channels, 1, 1)``.

        Both steps are linear, and bilinear ×2 without aligned corners keeps the mean.
        """
        return F.conv2d(pooled, self.conv.weight)
