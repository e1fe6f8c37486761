"""The network between two of its global meetings, on any part of a picture.

A column of a multi-scale residual block asks the whole picture twice: for the context that each
residual block adds, and for the means by which streams are fused. Between these, everything is
local. So the network is a row of sweeps over the picture: each begins where the residual blocks of
one column have met, and ends with the convolutions of the next column's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from torch import Tensor

from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.mrb import MultiScaleResidualBlock
from mirnet.models.rcb import ResidualBlock
from mirnet.models.rrg import RecursiveResidualGroup


class Map(NamedTuple):
    """The name of a feature map that outlives a sweep.

    Attributes:
        what: the ``input`` of a stream's residual block or what its convolutions ``refined`` it to;
            the input of the multi-scale residual ``block`` or of the recursive residual ``group``.
        stream: whose, counted from full resolution.
    """

    what: Literal["input", "refined", "block", "group"]
    stream: int = 0


BLOCK, GROUP = Map("block"), Map("group")
Features = dict[Map, Tensor]
"""Feature maps, or the same part of each: ``(N, C, H, W)`` at the resolution of its stream."""


@dataclass(frozen=True, slots=True)
class Column:
    """A place in the network, each part counted from 0."""

    group: int
    block: int
    column: int


@dataclass(frozen=True, slots=True)
class Meeting:
    """What the whole picture said in a column, for each stream.

    Attributes:
        shifts: what the context adds to every position, ``(N, C, 1, 1)``; None without context.
        means: of the residual blocks' outputs, ``(N, C, 1, 1)``; None if no fusion asks for them.
    """

    shifts: list[Tensor | None]
    means: list[Tensor] | None


class Sweep:
    """One sweep of a network; ``start`` is None for the first, ``stop`` for the last.

    Attributes:
        halo: how far around a part, in pixels, what the part needs lies. A cut spoils what is
            interpolated and convolved near it. Two positions of the coarsest stream do for its
            convolutions; a third is spoilt by what comes before a stream is split.
        reads: the maps that it looks at.
        reads_image: whether it looks at the input.
        writes: the maps that it makes.
    """

    def __init__(self, config: MIRNetV2Config, start: Column | None, stop: Column | None) -> None:
        """The sweep from where one column's residual blocks meet to where the next's do."""
        self.start, self.stop = start, stop
        self._stays_in_block = bool(start and stop and start.column < stop.column)
        self._stays_in_group = self._stays_in_block or bool(
            start and stop and start.block < stop.block
        )
        self.halo = (2 if self._stays_in_block else 3) * config.multiple
        outer = [BLOCK] * (not self._stays_in_block) + [GROUP] * (not self._stays_in_group)
        added = tuple(outer) if config.skip_connections else ()
        self.reads = (*_column_maps(config, start), *added) if start else ()
        self.writes = (*_column_maps(config, stop), *added) if stop else ()
        self.reads_image = start is None or (stop is None and config.skip_connections)

    def __call__(
        self, network: MIRNetV2, image: Tensor | None, features: Features, meeting: Meeting | None
    ) -> Features | Tensor:
        """From one column's features to the next's, or to the restored picture.

        Args:
            network: whose parts do it.
            image: this part of the input, if the sweep ``reads_image``.
            features: what it ``reads``.
            meeting: what the whole picture said in the column where it starts; None in the first.
        """
        if self.start is None or meeting is None:
            return self._enter(network, network.conv_in(image))
        streams = _fused(network, self.start, features, meeting)
        if self._stays_in_block:
            return self._refined(network, streams)
        enriched = _block(network, self.start).join(streams[0], features.get(BLOCK))
        if not self._stays_in_group:
            enriched = _group(network, self.start).join(enriched, features.get(GROUP))
        if self.stop:
            return self._enter(network, enriched)
        adds_shallow = network.config.residual == "features" and image is not None
        shallow = network.conv_in(image) if adds_shallow else None
        return network.join(enriched, shallow, image)

    def _enter(self, network: MIRNetV2, features: Tensor) -> Features:
        """Begin a multi-scale residual block, and with it perhaps a group."""
        assert self.stop
        made = self._refined(network, _block(network, self.stop).split(features))
        return made | {name: features for name in (BLOCK, GROUP) if name in self.writes}

    def _refined(self, network: MIRNetV2, streams: list[Tensor]) -> Features:
        """The streams that a column goes on with, and the convolutions of its residual blocks."""
        assert self.stop
        made: Features = {}
        for i, block in enumerate(residual_blocks(network, self.stop)):
            made[Map("input", i)] = streams[i]
            made[Map("refined", i)] = block.local(streams[i])
        return made


def sweeps(config: MIRNetV2Config) -> list[Sweep]:
    """The sweeps that make up a network, in their order."""
    columns = [
        Column(group, block, column)
        for group in range(len(config.groups))
        for block in range(config.blocks)
        for column in range(config.columns)
    ]
    return [Sweep(config, start, stop) for start, stop in pairwise([None, *columns, None])]


def _fused(network: MIRNetV2, column: Column, features: Features, meeting: Meeting) -> list[Tensor]:
    """The streams after a column."""
    streams = []
    for i, block in enumerate(residual_blocks(network, column)):
        response = block.respond(features[Map("refined", i)], meeting.shifts[i])
        streams.append(response + features[Map("input", i)] if block.skip else response)
    return _block(network, column).fuse(streams, meeting.means, column.column)


def residual_blocks(network: MIRNetV2, column: Column) -> list[ResidualBlock]:
    """The residual blocks of a column, one for each stream in use."""
    blocks = list(_block(network, column).rcb)
    return blocks[: network.config.streams_in(column.column)]  # type: ignore[return-value]


def _column_maps(config: MIRNetV2Config, column: Column) -> tuple[Map, ...]:
    streams = range(config.streams_in(column.column))
    return tuple(Map(what, i) for i in streams for what in ("input", "refined"))


def _group(network: MIRNetV2, column: Column) -> RecursiveResidualGroup:
    return network.groups[column.group]  # type: ignore[return-value]


def _block(network: MIRNetV2, column: Column) -> MultiScaleResidualBlock:
    return _group(network, column).blocks[column.block]  # type: ignore[return-value]
