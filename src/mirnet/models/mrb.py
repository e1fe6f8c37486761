"""The multi-scale residual block (Sec. 3.1, Fig. 1)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from mirnet.models.config import MIRNetV2Config
from mirnet.models.rcb import make_block
from mirnet.models.resampling import Downsample, Upsample
from mirnet.models.skff import make_fusion


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
        streams = [features, *(down(features) for down in self.down)]
        for column in range(self.config.columns):
            self._column(streams, column)
        enriched: Tensor = self.conv_out(streams[0])
        return enriched + features if self.config.skip_connections else enriched

    def _column(self, streams: list[Tensor], column: int) -> None:
        """One residual block on each stream, then fusion from the coarsest to the finest.

        The list is changed in place, so that a stream's old features are freed at once.
        """
        fuses = self.config.fuses_after(column)
        if column == self.config.columns - 1 and not fuses:
            del streams[1:]
        for i, stream in enumerate(streams):
            streams[i] = self.rcb[i](stream)
        if fuses:
            for i in reversed(range(len(streams) - 1)):
                lower = self.up[column][i](streams[i + 1])  # type: ignore[index]
                streams[i] = self.fusion[i]([streams[i], lower])


def _steps_down(widths: tuple[int, ...]) -> nn.Sequential:
    """From the finest of these streams to the coarsest."""
    return nn.Sequential(*(Downsample(wide, wider) for wide, wider in pairwise(widths)))


def _steps_up(widths: tuple[int, ...]) -> nn.ModuleList:
    """For each stream but the coarsest, the step up that reaches it from the one below."""
    return nn.ModuleList(Upsample(wider, wide) for wide, wider in pairwise(widths))
