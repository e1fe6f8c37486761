"""MIRNet-v2 as a graph of another runtime, made of its modules' weights.

Converters take from seven seconds to a minute; this takes half a second. It is held against the
modules by a test for every config, and again on the user's machine before it is used.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import nn

from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.mrb import MultiScaleResidualBlock
from mirnet.models.rcb import ContextModule, ResidualBlock
from mirnet.models.resampling import Upsample
from mirnet.models.skff import ConcatFusion, SelectiveKernelFusion

Node = Any
"""A value in the graph, ``(N, C, H, W)``; each runtime has its own."""
ROWS, COLUMNS = 2, 3


class Operations(Protocol):
    """What a runtime's graph is made of; all keep four dimensions."""

    def convolved(self, conv: nn.Conv2d, features: Node) -> Node:
        """By a convolution without bias and stride."""
        ...

    def rectified(self, features: Node) -> Node:
        """By the leaky ReLU."""
        ...

    def halved(self, features: Node) -> Node:
        """2×2 averages."""
        ...

    def doubled(self, features: Node) -> Node:
        """Bilinear ×2, corners not aligned."""
        ...

    def joined(self, streams: list[Node]) -> Node:
        """Channel beside channel."""
        ...

    def number(self, value: float) -> Node:
        """A constant, for every place."""
        ...

    def sigmoid(self, features: Node) -> Node: ...  # noqa: D102
    def exp(self, features: Node) -> Node: ...  # noqa: D102
    def add(self, first: Node, second: Node) -> Node: ...  # noqa: D102
    def subtract(self, first: Node, second: Node) -> Node: ...  # noqa: D102
    def multiply(self, first: Node, second: Node) -> Node: ...  # noqa: D102
    def divide(self, first: Node, second: Node) -> Node: ...  # noqa: D102

    def peak(self, features: Node, *axes: int) -> Node:
        """The largest value over these axes, which keep the length 1."""
        ...

    def mean(self, features: Node, axis: int) -> Node:
        """Over an axis, which keeps the length 1."""
        ...

    def sum(self, features: Node, axis: int) -> Node:
        """As ``mean``."""
        ...


def draw(network: MIRNetV2, image: Node, ops: Operations) -> Node:
    """From a padded batch to the last convolution's output; the image is not added."""
    shallow = ops.convolved(network.conv_in, image)
    deep = shallow
    for group in network.groups:
        enriched = deep
        for block in group.blocks:  # type: ignore[union-attr]
            enriched = _multi_scale(block, enriched, ops)
        enriched = ops.convolved(group.conv, enriched)  # type: ignore[arg-type]
        deep = ops.add(enriched, deep) if network.config.skip_connections else enriched
    if network.config.skip_connections and network.config.residual == "features":
        deep = ops.add(deep, shallow)
    return ops.convolved(network.conv_out, deep)


def _multi_scale(block: MultiScaleResidualBlock, features: Node, ops: Operations) -> Node:
    config = block.config
    streams = [features, *(_lowered(down, features, ops) for down in block.down)]  # type: ignore[arg-type]
    for column in range(config.columns):
        streams = [
            _residual(residual, stream, ops)  # type: ignore[arg-type]
            for residual, stream in zip(
                block.rcb, streams[: config.streams_in(column)], strict=False
            )
        ]
        if config.fuses_after(column):
            streams = _fused(block, column, streams, ops)
    result = ops.convolved(block.conv_out, streams[0])
    return ops.add(result, features) if config.skip_connections else result


def _fused(
    block: MultiScaleResidualBlock, column: int, streams: list[Node], ops: Operations
) -> list[Node]:
    """From coarse to fine; the means of what is fused follow from those of the streams."""
    pools = block.config.pools_after(column)
    means = [_mean(stream, ops) for stream in streams] if pools else []
    fused, mean = [streams[-1]], means[-1] if pools else None
    for i in reversed(range(len(streams) - 1)):
        up: Upsample = block.up[column][i]  # type: ignore[index]
        pair = [streams[i], ops.doubled(ops.convolved(up.conv, fused[0]))]
        fusion = block.fusion[i]
        if isinstance(fusion, SelectiveKernelFusion):
            pooled = [means[i], ops.convolved(up.conv, mean)]
            weights = _weights(fusion, pooled, ops)
            mean = _blend(pooled, weights, ops)
            fused.insert(0, _blend(pair, weights, ops))
        elif isinstance(fusion, ConcatFusion):
            fused.insert(0, ops.convolved(fusion.conv, ops.joined(pair)))
        else:
            fused.insert(0, ops.add(*pair))
    return fused


def _weights(fusion: SelectiveKernelFusion, pooled: list[Node], ops: Operations) -> list[Node]:
    """One weight for each of two streams, ``(N, C, 1, 1)``."""
    squeezed = ops.rectified(ops.convolved(fusion.squeeze, ops.add(*pooled)))
    first, second = (ops.convolved(conv, squeezed) for conv in fusion.select)  # type: ignore[arg-type]
    weight = ops.sigmoid(ops.subtract(first, second))  # the softmax of two
    return [weight, ops.subtract(ops.number(1.0), weight)]


def _blend(streams: list[Node], weights: list[Node], ops: Operations) -> Node:
    products = (ops.multiply(*pair) for pair in zip(streams, weights, strict=True))
    return ops.add(*products)


def _residual(block: ResidualBlock, features: Node, ops: Operations) -> Node:
    refined = ops.rectified(ops.convolved(block.conv1, features))
    refined = ops.convolved(block.conv2, refined)
    if block.context is not None:
        refined = ops.rectified(ops.add(refined, _shift(block.context, refined, ops)))
    return ops.add(refined, features) if block.skip else refined


def _shift(context: ContextModule, features: Node, ops: Operations) -> Node:
    """What the whole picture says: softmax weights over its positions, and the weighted sum."""
    scores = ops.convolved(context.mask, features)
    weights = ops.exp(ops.subtract(scores, ops.peak(scores, ROWS, COLUMNS)))
    vector = ops.divide(_sum(ops.multiply(features, weights), ops), _sum(weights, ops))
    if isinstance(context.transform, nn.Identity):
        return vector
    narrow, _, wide = context.transform
    return ops.convolved(wide, ops.rectified(ops.convolved(narrow, vector)))  # type: ignore[arg-type]


def _lowered(down: nn.Sequential, features: Node, ops: Operations) -> Node:
    for step in down:
        features = ops.convolved(step[1], ops.halved(features))  # type: ignore[index]
    return features


def _mean(features: Node, ops: Operations) -> Node:
    """In two steps: one sum over millions of numbers loses digits."""
    return ops.mean(ops.mean(features, COLUMNS), ROWS)


def _sum(features: Node, ops: Operations) -> Node:
    """As ``_mean``."""
    return ops.sum(ops.sum(features, COLUMNS), ROWS)
