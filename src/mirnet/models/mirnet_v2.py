"""The whole network (Sec. 3, Fig. 1)."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from mirnet.models.config import MIRNetV2Config
from mirnet.models.rrg import RecursiveResidualGroup


class MIRNetV2(nn.Module):
    """MIRNet-v2: a convolution, recursive residual groups, a convolution, and what they add to.

    Takes ``(N, in_channels, H, W)`` and returns ``(N, out_channels, H, W)``, float, images in
    [0, 1] (the output is not clipped). H and W must be multiples of ``config.multiple``:
    ``mirnet.inference`` pads and crops any other size.
    """

    def __init__(self, config: MIRNetV2Config | None = None) -> None:
        """Make the network of this config; the paper's if there is none."""
        super().__init__()
        self.config = config = config or MIRNetV2Config()
        self.conv_in = nn.Conv2d(config.in_channels, config.width, 3, padding=1, bias=False)
        self.groups = nn.Sequential(
            *(RecursiveResidualGroup(config, groups) for groups in config.groups)
        )
        self.conv_out = nn.Conv2d(config.width, config.out_channels, 3, padding=1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """Restore a batch of images. Raises ValueError for a shape that the network can't take."""
        self._check(image)
        shallow = self.conv_in(image)
        deep = self.groups(shallow)
        if not self.config.skip_connections:
            return self._to_image(deep)
        if self.config.residual == "features":
            return self._to_image(deep + shallow)
        return self._to_image(deep) + image

    def _to_image(self, features: Tensor) -> Tensor:
        """The last convolution, in float32: half precision has fewer levels than a photo."""
        kind = features.device.type
        mixed = kind != "meta" and torch.is_autocast_enabled(kind)
        with torch.autocast(kind, enabled=False) if mixed else nullcontext():
            restored: Tensor = self.conv_out(features.to(self.conv_out.weight.dtype))
        return restored

    def _check(self, image: Tensor) -> None:
        channels, multiple = self.config.in_channels, self.config.multiple
        if image.ndim != 4 or image.shape[1] != channels:
            raise ValueError(f"the network takes (N, {channels}, H, W), got {tuple(image.shape)}")
        if image.shape[2] % multiple or image.shape[3] % multiple:
            raise ValueError(
                f"height and width must be multiples of {multiple}, got "
                f"{image.shape[2]}×{image.shape[3]}; use mirnet.Restorer for any size"
            )
