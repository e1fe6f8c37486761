"""MIRNet (v1), what MIRNet-v2 is compared to in Table 1.

Zamir et al., "Learning Enriched Features for Real Image Restoration and Enhancement", ECCV 2020.
No convolution has a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mirnet.choices import NetworkName
from mirnet.errors import ConfigError
from mirnet.models.network import Network
from mirnet.models.network_config import NetworkConfig, require_int
from mirnet.models.skff import SelectiveKernelFusion, pool

STREAMS = 3
REDUCTION = 8
"""How many times the attentions squeeze their channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MIRNetV1Config(NetworkConfig):
    """The choices of MIRNet (v1). The defaults are its paper's.

    Attributes:
        width: channels of the full-resolution stream, a multiple of 8; the streams below have two
            and four times as many.
        recursive_groups: recursive residual groups.
        blocks: multi-scale residual blocks in each group.
    """

    NETWORK: ClassVar[NetworkName] = "mirnet-v1"

    width: int = 64
    recursive_groups: int = 3
    blocks: int = 2

    def __post_init__(self) -> None:
        """Check every field. Raises ConfigError that names the field and the rule."""
        self.check_ends()
        for name, most in (("width", 512), ("recursive_groups", 16), ("blocks", 16)):
            require_int(name, getattr(self, name), 1, most)
        if self.width % REDUCTION:
            raise ConfigError(f"width: must be a multiple of {REDUCTION}, got {self.width}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stream, from full resolution down."""
        return tuple(self.width * 2**i for i in range(STREAMS))

    @property
    def depth(self) -> int:
        """Multi-scale residual blocks in a row."""
        return self.recursive_groups * self.blocks

    @property
    def multiple(self) -> int:
        """Height and width inside the network are multiples of this."""
        return int(2 ** (STREAMS - 1))


class MIRNetV1(Network):
    """MIRNet: a convolution, recursive residual groups, a convolution, and what they add to."""

    config: MIRNetV1Config

    def __init__(self, config: MIRNetV1Config | None = None) -> None:
        """Make the network of this config; its paper's if there is none."""
        super().__init__()
        self.config = config = config or MIRNetV1Config()
        self.conv_in = _conv(config.in_channels, config.width, 3)
        self.groups = nn.Sequential(*(_Group(config) for _ in range(config.recursive_groups)))
        self.conv_out = _conv(config.width, config.out_channels, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Restore a batch of images. Raises ValueError for a shape that the network can't take."""
        self.check(image)
        shallow = self.conv_in(image)
        deep = self.groups(shallow)
        if self.config.residual == "features":
            return self.to_image(deep + shallow)
        return self.to_image(deep) + image


class _Group(nn.Module):
    """Multi-scale residual blocks, a 3×3 convolution, and the group's input."""

    def __init__(self, config: MIRNetV1Config) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_Block(config.widths) for _ in range(config.blocks)))
        self.conv = _conv(config.width, config.width, 3)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.conv(self.blocks(features)) + features
        return result


class _Block(nn.Module):
    """The multi-scale residual block: three streams, two columns, everything exchanged.

    Both columns share the attention units, and a stream's fusions are one module.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.attend = nn.ModuleList(DualAttentionUnit(width) for width in widths)
        self.fuse = nn.ModuleList(
            SelectiveKernelFusion(width, STREAMS, activation=nn.PReLU()) for width in widths
        )
        streams = range(len(widths))
        self.between = nn.ModuleDict(
            {
                f"{source}-{target}": _steps(widths, source, target)
                for target in streams
                for source in streams
                if source != target
            }
        )
        self.up = nn.ModuleList(_steps(widths, source, 0) for source in streams[1:])
        self.conv = _conv(widths[0], widths[0], 3)

    def forward(self, features: Tensor) -> Tensor:
        streams = [self.attend[0](features)]
        for i, attend in enumerate(list(self.attend)[1:]):
            streams.append(attend(self.between[f"{i}-{i + 1}"](streams[-1])))
        fused = [
            fuse([self._brought(stream, i, target) for i, stream in enumerate(streams)])
            for target, fuse in enumerate(self.fuse)
        ]
        top, *lower = [attend(stream) for attend, stream in zip(self.attend, fused, strict=True)]
        raised = [up(stream) for up, stream in zip(self.up, lower, strict=True)]
        result: Tensor = self.conv(self.fuse[0]([top, *raised])) + features
        return result

    def _brought(self, stream: Tensor, source: int, target: int) -> Tensor:
        """A stream at the resolution of another."""
        if source == target:
            return stream
        moved: Tensor = self.between[f"{source}-{target}"](stream)
        return moved


class DualAttentionUnit(nn.Module):
    """DAU: two convolutions, then attention to places and to channels; plus the input.

    ``(N, C, H, W)`` → the same shape.
    """

    def __init__(self, channels: int) -> None:
        """Make both branches."""
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels, 3), nn.PReLU(), _conv(channels, channels, 3)
        )
        self.place = _conv(2, 1, 5)
        self.squeeze = _conv(channels, channels // REDUCTION, 1)
        self.excite = _conv(channels // REDUCTION, channels, 1)
        self.join = _conv(2 * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Weigh the features of one stream."""
        body = self.body(features)
        extremes = torch.cat([body.amax(1, keepdim=True), body.mean(1, keepdim=True)], dim=1)
        by_place = body * torch.sigmoid(self.place(extremes))
        weights = torch.sigmoid(self.excite(F.relu(self.squeeze(pool(body)))))
        joined: Tensor = self.join(torch.cat([by_place, body * weights], dim=1))
        return joined + features


class _Blur(nn.Module):
    """Half the resolution without aliases: every second value of a 3×3 binomial blur."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0])
        kernel = torch.outer(row, row) / 16
        self.register_buffer("kernel", kernel.expand(channels, 1, 3, 3).clone(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        padded = F.pad(features, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(padded, self.kernel.to(features.dtype), stride=2, groups=features.shape[1])


class _Down(nn.Module):
    """Half the resolution, twice the channels: two paths, added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.long = nn.Sequential(
            _conv(channels, channels, 1), nn.PReLU(),
            _conv(channels, channels, 3), nn.PReLU(),
            _Blur(channels), _conv(channels, 2 * channels, 1),
        )  # fmt: skip
        self.short = nn.Sequential(_Blur(channels), _conv(channels, 2 * channels, 1))

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.long(features) + self.short(features)
        return result


class _Up(nn.Module):
    """Twice the resolution, half the channels: two paths, added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        transposed = nn.ConvTranspose2d(
            channels, channels, 3, stride=2, padding=1, output_padding=1, bias=False
        )
        self.long = nn.Sequential(
            _conv(channels, channels, 1), nn.PReLU(),
            transposed, nn.PReLU(),
            _conv(channels, channels // 2, 1),
        )  # fmt: skip
        self.short = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
            _conv(channels, channels // 2, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.long(features) + self.short(features)
        return result


def _steps(widths: tuple[int, ...], source: int, target: int) -> nn.Sequential:
    """From one stream to another, a step for each resolution between them."""
    if source < target:
        return nn.Sequential(*(_Down(width) for width, _ in pairwise(widths[source : target + 1])))
    return nn.Sequential(*(_Up(width) for width in widths[source:target:-1]))


def _conv(in_channels: int, out_channels: int, size: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=False)
