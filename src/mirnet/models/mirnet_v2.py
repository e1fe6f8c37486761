"""The whole network (Sec. 3, Fig. 1)."""

from __future__ import annotations

from torch import Tensor, nn

from mirnet.models.config import MIRNetV2Config
from mirnet.models.network import Network
from mirnet.models.rrg import RecursiveResidualGroup


class MIRNetV2(Network):
    """MIRNet-v2: a convolution, recursive residual groups, a convolution, and what they add to."""

    config: MIRNetV2Config

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
        self.check(image)
        shallow = self.conv_in(image)
        return self.join(self.groups(shallow), shallow, image)

    def join(self, deep: Tensor, shallow: Tensor | None, image: Tensor | None) -> Tensor:
        """The output from that of the groups, and whichever of the other two is added to it."""
        if not self.config.skip_connections:
            return self.to_image(deep)
        if self.config.residual == "features":
            assert shallow is not None
            return self.to_image(deep + shallow)
        assert image is not None
        return self.to_image(deep) + image
