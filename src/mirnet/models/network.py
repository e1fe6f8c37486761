"""What every restoration network has, whatever lies between its first and its last convolution."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from mirnet.models.network_config import NetworkConfig


class Network(nn.Module):
    """A network that restores images.

    Takes ``(N, in_channels, H, W)`` and returns ``(N, out_channels, H, W)``, float, images in
    [0, 1] (the output is not clipped). H and W must be multiples of ``config.multiple``:
    ``mirnet.inference`` pads and crops any other size.

    Attributes:
        config: what it is made of.
        conv_in: its first convolution.
        groups: its recursive residual groups, between the first and the last convolution.
        conv_out: its last convolution.
    """

    config: NetworkConfig
    conv_in: nn.Conv2d
    groups: nn.Sequential
    conv_out: nn.Conv2d

    def to_image(self, features: Tensor) -> Tensor:
        """The last convolution, in float32: half precision has fewer levels than a photo."""
        kind = features.device.type
        mixed = kind != "meta" and torch.is_autocast_enabled(kind)
        with torch.autocast(kind, enabled=False) if mixed else nullcontext():
            restored: Tensor = self.conv_out(features.to(self.conv_out.weight.dtype))
        return restored

    def check(self, image: Tensor) -> None:
        """Raise ValueError for a shape that the network can't take."""
        channels, multiple = self.config.in_channels, self.config.multiple
        if image.ndim != 4 or image.shape[1] != channels:
            raise ValueError(f"the network takes (N, {channels}, H, W), got {tuple(image.shape)}")
        if image.shape[2] % multiple or image.shape[3] % multiple:
            raise ValueError(
                f"height and width must be multiples of {multiple}, got "
                f"{image.shape[2]}×{image.shape[3]}; use mirnet.Restorer for any size"
            )
