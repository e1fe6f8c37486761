"""A picture of any size through the network, in pieces, with the result of one piece.

Programs of this field cut a large photo into tiles and restore each by itself; a network that looks
at the whole picture then sees another picture in each tile, and they disagree. Here the pieces pass
a few layers at a time, and what those layers ask the whole picture is answered by all pieces
together: softmax sums with a running maximum, and means. Between two sweeps the features rest in
memory or in a scratch file.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mirnet.inference.padding import pad_to, padded_size
from mirnet.inference.streaming.canvas import Canvas, Rest
from mirnet.inference.streaming.sweep import (
    Column,
    Features,
    Map,
    Meeting,
    residual_blocks,
    sweeps,
)
from mirnet.inference.streaming.tiles import Box, Cut
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.rcb import Attention

UP, DOWN = -1, 1
"""The way in which a sweep moves what it rewrites."""
Progress = Callable[[int, int], None]
"""Told how many steps are done, of how many."""


def ignore_progress(done: int, total: int) -> None:
    """Tell nobody."""


@torch.no_grad()
def stream(
    network: MIRNetV2,
    image: Tensor,
    *,
    tile: tuple[int, int],
    rest: Rest,
    into: Tensor | None = None,
    progress: Progress = ignore_progress,
) -> Tensor:
    """Restore one image of any size, ``(1, C, H, W)``; what is asked of the network is autocast's.

    Args:
        network: where its weights are is where the tiles go; the image may lie elsewhere.
        image: any floats in [0, 1].
        tile: height and width of a tile, multiples of ``config.multiple``.
        rest: where the features rest.
        into: where the result goes; beside the image, in room of its own, unless told.
        progress: told after each sweep.

    Returns:
        ``(1, out_channels, H, W)`` float32; not clipped.
    """
    config, device = network.config, network.conv_in.weight.device
    height, width = padded_size(image.shape[2], image.shape[3], config.multiple)
    cut = Cut(height, width, *tile)
    order = sweeps(config)
    canvases = _canvases(config, height, width, rest)
    size = (1, config.out_channels, *image.shape[2:])
    output = torch.empty(size, device=image.device) if into is None else into
    meeting = None
    for number, sweep in enumerate(order):
        way = _way(number)
        talk = _Talk(network, sweep.stop) if sweep.stop else None
        for box in cut.tiles(backwards=way == DOWN, after_row=rest.settle):
            region = box.grown(sweep.halo, height, width)
            features = {
                name: canvases[name].read(_at(name, region)).to(device) for name in sweep.reads
            }
            part = _part(image, region).to(device) if sweep.reads_image else None
            result = sweep(network, part, features, meeting)
            inner = box.within(region)
            if talk is None or isinstance(result, Tensor):
                _write(output, box, _cropped(result, inner))  # type: ignore[arg-type]
                continue
            core = {name: _packed(_cropped(result[name], _at(name, inner))) for name in result}
            for name in sweep.writes:
                canvases[name].write(_at(name, box), core[name], way)
            talk.hear(core)
        for name in sweep.writes:
            canvases[name].turn(way)
        if talk:
            meeting = talk.close(canvases, cut, rest)
        progress(number + 1, len(order))
    return output


class _Talk:
    """The meeting of a column, while its sweep goes on."""

    def __init__(self, network: MIRNetV2, column: Column) -> None:
        self.device = network.conv_in.weight.device
        self.blocks = residual_blocks(network, column)
        self.pools = network.config.pools_after(column.column)
        self.attentions: list[Attention | None] = [None] * len(self.blocks)
        self.sums = [_Mean() for _ in self.blocks]

    def hear(self, tile: Features) -> None:
        """What a tile says."""
        for i, block in enumerate(self.blocks):
            if block.context:
                heard = block.context.attend(tile[Map("refined", i)])
                before = self.attentions[i]
                self.attentions[i] = before.merged(heard) if before else heard
            if self.pools and block.skip:
                self.sums[i].add(tile[Map("input", i)])

    def close(self, canvases: dict[Map, Canvas], cut: Cut, rest: Rest) -> Meeting:
        """What the whole picture says; the means ask it once more."""
        shifts = [
            block.context.shift(attention) if block.context and attention else None
            for block, attention in zip(self.blocks, self.attentions, strict=True)
        ]
        if not self.pools:
            return Meeting(shifts, None)
        means = []
        for i, (block, shift) in enumerate(zip(self.blocks, shifts, strict=True)):
            name, response = Map("refined", i), _Mean()
            for box in cut.tiles(backwards=False, after_row=rest.settle):
                refined = canvases[name].read(_at(name, box)).to(self.device)
                response.add(block.respond(refined, shift))
            means.append(response.value() + (self.sums[i].value() if block.skip else 0))
        return Meeting(shifts, means)


class _Mean:
    """The mean over all positions that were added."""

    def __init__(self) -> None:
        self.total = torch.zeros(1)
        self.count = 0

    def add(self, features: Tensor) -> None:
        positions = features.shape[2] * features.shape[3]
        mean = features.mean(dim=(2, 3), keepdim=True, dtype=torch.float32)
        if mean.device.type != "mps":  # which has no float64
            mean = mean.double()
        self.total = self.total.to(mean) + mean * positions
        self.count += positions
        self.dtype = features.dtype

    def value(self) -> Tensor:
        return (self.total / self.count).to(self.dtype)


def canvas_sizes(
    config: MIRNetV2Config, height: int, width: int
) -> dict[Map, tuple[int, int, int]]:
    """Height, width and channels of each map that rests between the sweeps over such a picture.

    Height and width are multiples of ``config.multiple``; room to be rewritten in is included.
    """
    return {
        name: Canvas.room(size, step, ways)
        for name, (size, step, ways) in _plans(config, height, width).items()
    }


def _canvases(config: MIRNetV2Config, height: int, width: int, rest: Rest) -> dict[Map, Canvas]:
    plans = _plans(config, height, width)
    return {name: Canvas(rest, *plan) for name, plan in plans.items()}


def _plans(
    config: MIRNetV2Config, height: int, width: int
) -> dict[Map, tuple[tuple[int, int, int], int, list[int]]]:
    """Each map's size, the largest halo that is read of it, and the ways it is rewritten."""
    order = sweeps(config)
    made = {}
    for name in sorted({name for sweep in order for name in sweep.writes}):
        ways = [_way(number) for number, sweep in enumerate(order) if name in sweep.writes]
        scale = 2**name.stream
        size = (height // scale, width // scale, config.widths[name.stream])
        made[name] = (size, 3 * config.multiple // scale, ways)
    return made


def _way(number: int) -> int:
    """The way of a sweep: from the top left, then back, and so on."""
    return UP if number % 2 == 0 else DOWN


def _at(name: Map, box: Box) -> Box:
    """The place of a box in a map."""
    return box.scaled(2**name.stream)


def _part(image: Tensor, region: Box) -> Tensor:
    """A part of the image, float32 in [0, 1], continued beyond its edges as by ``pad``."""
    part = _cropped(image, region).float().clamp(0, 1)
    return pad_to(part, region.height, region.width)


def _write(output: Tensor, box: Box, tile: Tensor) -> None:
    """Write a tile, but for what lies beyond the picture's edges."""
    place = _cropped(output, box)
    place.copy_(tile[..., : place.shape[2], : place.shape[3]])


def _cropped(image: Tensor, box: Box) -> Tensor:
    return image[..., box.top : box.bottom, box.left : box.right]


def _packed(features: Tensor) -> Tensor:
    """With the channels of a position side by side and no gaps: three times as fast to add up."""
    return features.contiguous(memory_format=torch.channels_last)
