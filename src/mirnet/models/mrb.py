"""The multi-scale residual block (Sec. 3.1, Fig. 1)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from mirnet.models.config import MIRNetV2Config
from mirnet.models.rcb import make_block
from mirnet.models.resampling import Downsample, Upsample
from mirnet.models.skff import make_fusion, pool


class MultiScaleResidualBlock(nn.Module):
    """MRB: parallel streams at full, half and quarter resolution that inform each other.

    ``(N, C, H, W)`` → the same shape; H and W are multiples of ``config.multiple``. In each
    column every stream passes its residual block, then the streams are fused from coarse to fine.
    The residual blocks and the fusions are shared by all columns; the steps up are not. Every
    stream is reached from the block's input by steps down of its own.
    """

    def __init__(self, config: MIRNetV2Config, groups: int) -> None:
        """Make the block with ``groups`` groups in its 3×3 convolutions."""
        super().__init__()
        widths = config.widths
        self.config = config
        self.down = nn.ModuleList(_steps_down(widths[: i + 1]) for i in range(1, len(widths)))
        self.rcb = nn.ModuleList(
            make_block(config.block, width, groups, skip=config.skip_connections)
            for width in widths
        )
        self.up = nn.ModuleList(
            _steps_up(widths) if config.fuses_after(column) else nn.ModuleList()
            for column in range(config.columns)
        )
        self.fusion = nn.ModuleList(make_fusion(config.fusion, width) for width in widths[:-1])
        self.conv_out = nn.Conv2d(config.width, config.width, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Enrich the features of the full-resolution stream."""
        streams = self.split(features)
        for column in range(self.config.columns):
            del streams[self.config.streams_in(column) :]
            for i, stream in enumerate(streams):  # in place, so that old features are freed at once
                streams[i] = self.rcb[i](stream)
            means = (
                [pool(stream) for stream in streams] if self.config.pools_after(column) else None
            )
            streams = self.fuse(streams, means, column)
        return self.join(streams[0], features)

    def split(self, features: Tensor) -> list[Tensor]:
        """The streams that the block begins with, from full resolution down."""
        return [features, *(down(features) for down in self.down)]

    def fuse(self, streams: list[Tensor], means: list[Tensor] | None, column: int) -> list[Tensor]:
        """What the streams are after this column, from the outputs of its residual blocks.

        Args:
            streams: one tensor a stream; they may be any part of the picture.
            means: each stream's mean over the whole picture, ``(N, C, 1, 1)``, where
                ``config.pools_after(column)``. The means of what is fused follow from them.
            column: which, counted from 0.
        """
        if not self.config.fuses_after(column):
            return streams
        fused = [streams[-1]]
        mean = means[-1] if means else None
        for i in reversed(range(len(streams) - 1)):
            up: Upsample = self.up[column][i]  # type: ignore[index]
            fusion: Any = self.fusion[i]
            weights = None
            if means and mean is not None:
                pooled = [means[i], up.mean(mean)]
                weights = fusion.weights(pooled)
                mean = fusion.blend(pooled, weights)
            fused.insert(0, fusion([streams[i], up(fused[0])], weights))
        return fused

    def join(self, enriched: Tensor, features: Tensor | None) -> Tensor:
        """The block's output from its full-resolution stream and its input, if that is added."""
        result: Tensor = self.conv_out(enriched)
        if not self.config.skip_connections:
            return result
        assert features is not None
        return result + features


def _steps_down(widths: tuple[int, ...]) -> nn.Sequential:
    """From the finest of these streams to the coarsest."""
    return nn.Sequential(*(Downsample(wide, wider) for wide, wider in pairwise(widths)))


def _steps_up(widths: tuple[int, ...]) -> nn.ModuleList:
    """For each stream but the coarsest, the step up that reaches it from the one below."""
    return nn.ModuleList(Upsample(wider, wide) for wide, wider in pairwise(widths))
