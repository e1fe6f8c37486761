"""The recursive residual group (Sec. 3, Fig. 1)."""

from __future__ import annotations

from torch import Tensor, nn

from mirnet.models.config import MIRNetV2Config
from mirnet.models.mrb import MultiScaleResidualBlock


class RecursiveResidualGroup(nn.Module):
    """RRG: multi-scale residual blocks, a 3×3 convolution, and the group's input.

    ``(N, C, H, W)`` → the same shape; H and W are multiples of ``config.multiple``.
    """

    def __init__(self, config: MIRNetV2Config, groups: int) -> None:
        """Make ``config.blocks`` blocks with ``groups`` groups in their 3×3 convolutions."""
        super().__init__()
        self.blocks = nn.Sequential(
            *(MultiScaleResidualBlock(config, groups) for _ in range(config.blocks))
        )
        self.conv = nn.Conv2d(config.width, config.width, 3, padding=1, bias=False)
        self.skip = config.skip_connections

    def forward(self, features: Tensor) -> Tensor:
        """Enrich the features and add the group's input."""
        return self.join(self.blocks(features), features)

    def join(self, enriched: Tensor, features: Tensor | None) -> Tensor:
        """The group's output from that of its blocks and its input, if that is added."""
        result: Tensor = self.conv(enriched)
        if not self.skip:
            return result
        assert features is not None
        return result + features
