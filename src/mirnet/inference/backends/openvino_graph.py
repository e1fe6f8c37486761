"""MIRNet-v2 as an OpenVINO graph, made of its modules' weights.

OpenVINO's converters take from seven seconds to a minute; this takes half a second. It is held
against the modules by a test for every config, and again on the user's machine before it is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops
from torch import Tensor, nn

from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.mrb import MultiScaleResidualBlock
from mirnet.models.rcb import ContextModule, ResidualBlock
from mirnet.models.resampling import Upsample
from mirnet.models.skff import NEGATIVE_SLOPE, ConcatFusion, SelectiveKernelFusion

Node = Any
"""A value in the graph; OpenVINO has no type hints for its operations."""
ROWS, COLUMNS = 2, 3


def graph_of(network: MIRNetV2, shape: tuple[int, int, int, int]) -> Any:
    """The graph from a padded batch of this shape to the last convolution's output.

    Sizes that are known take a third less memory than open ones. The image is not added.
    """
    image = ops.parameter(list(shape), np.float32)
    shallow = _convolved(network.conv_in, image)
    deep = shallow
    for group in network.groups:
        enriched = deep
        for block in group.blocks:  # type: ignore[union-attr]
            enriched = _multi_scale(block, enriched)
        enriched = _convolved(group.conv, enriched)  # type: ignore[arg-type]
        deep = ops.add(enriched, deep) if network.config.skip_connections else enriched
    if network.config.skip_connections and network.config.residual == "features":
        deep = ops.add(deep, shallow)
    return openvino.Model([_convolved(network.conv_out, deep)], [image], "mirnet")


def _multi_scale(block: MultiScaleResidualBlock, features: Node) -> Node:
    config = block.config
    streams = [features, *(_lowered(down, features) for down in block.down)]  # type: ignore[arg-type]
    for column in range(config.columns):
        streams = [
            _residual(residual, stream)  # type: ignore[arg-type]
            for residual, stream in zip(
                block.rcb, streams[: config.streams_in(column)], strict=False
            )
        ]
        if config.fuses_after(column):
            streams = _fused(block, column, streams)
    result = _convolved(block.conv_out, streams[0])
    return ops.add(result, features) if config.skip_connections else result


def _fused(block: MultiScaleResidualBlock, column: int, streams: list[Node]) -> list[Node]:
    """From coarse to fine; the means of what is fused follow from those of the streams."""
    pools = block.config.pools_after(column)
    means = [_mean(stream) for stream in streams] if pools else []
    fused, mean = [streams[-1]], means[-1] if pools else None
    for i in reversed(range(len(streams) - 1)):
        up: Upsample = block.up[column][i]  # type: ignore[index]
        pair = [streams[i], _raised(up, fused[0])]
        fusion = block.fusion[i]
        if isinstance(fusion, SelectiveKernelFusion):
            pooled = [means[i], _convolved(up.conv, mean)]
            weights = _weights(fusion, pooled)
            mean = _blend(pooled, weights)
            fused.insert(0, _blend(pair, weights))
        elif isinstance(fusion, ConcatFusion):
            fused.insert(0, _convolved(fusion.conv, ops.concat(pair, 1)))
        else:
            fused.insert(0, ops.add(*pair))
    return fused


def _weights(fusion: SelectiveKernelFusion, pooled: list[Node]) -> list[Node]:
    """One weight for each of two streams, ``(N, C, 1, 1)``."""
    squeezed = _rectified(_convolved(fusion.squeeze, ops.add(*pooled)))
    first, second = (_convolved(conv, squeezed) for conv in fusion.select)  # type: ignore[arg-type]
    weight = ops.sigmoid(ops.subtract(first, second))  # the softmax of two
    return [weight, ops.subtract(_number(1.0), weight)]


def _blend(streams: list[Node], weights: list[Node]) -> Node:
    products = (ops.multiply(*pair) for pair in zip(streams, weights, strict=True))
    return ops.add(*products)


def _residual(block: ResidualBlock, features: Node) -> Node:
    refined = _convolved(block.conv2, _rectified(_convolved(block.conv1, features)))
    if block.context is not None:
        refined = _rectified(ops.add(refined, _shift(block.context, refined)))
    return ops.add(refined, features) if block.skip else refined


def _shift(context: ContextModule, features: Node) -> Node:
    """What the whole picture says: softmax weights over its positions, and the weighted sum."""
    scores = _convolved(context.mask, features)
    peak = ops.reduce_max(scores, _axes(ROWS, COLUMNS), keep_dims=True)
    weights = ops.exp(ops.subtract(scores, peak))
    vector = ops.divide(_sum(ops.multiply(features, weights)), _sum(weights))
    if isinstance(context.transform, nn.Identity):
        return vector
    narrow, _, wide = context.transform
    return _convolved(wide, _rectified(_convolved(narrow, vector)))  # type: ignore[arg-type]


def _lowered(down: nn.Sequential, features: Node) -> Node:
    for step in down:
        conv: Any = step[1]  # type: ignore[index]
        pooled = ops.avg_pool(features, [2, 2], [0, 0], [0, 0], [2, 2], True, "ceil")
        features = _convolved(conv, pooled)
    return features


def _raised(up: Upsample, features: Node) -> Node:
    return ops.interpolate(
        _convolved(up.conv, features),
        _axes(2.0, 2.0),
        mode="linear_onnx",
        shape_calculation_mode="scales",
        coordinate_transformation_mode="half_pixel",
        axes=_axes(ROWS, COLUMNS),
    )


def _convolved(conv: nn.Conv2d, features: Node) -> Node:
    pad = [int(size) for size in conv.padding]
    where = ([1, 1], pad, pad, [1, 1])
    if conv.groups == 1:
        return ops.convolution(features, _constant(conv.weight), *where)
    per_group = conv.weight.reshape(conv.groups, -1, *conv.weight.shape[1:])
    return ops.group_convolution(features, _constant(per_group), *where)


def _rectified(features: Node) -> Node:
    return ops.prelu(features, _number(NEGATIVE_SLOPE))


def _mean(features: Node) -> Node:
    """In two steps: one sum over millions of numbers loses digits."""
    rows = ops.reduce_mean(features, _axes(COLUMNS), keep_dims=True)
    return ops.reduce_mean(rows, _axes(ROWS), keep_dims=True)


def _sum(features: Node) -> Node:
    """As ``_mean``."""
    rows = ops.reduce_sum(features, _axes(COLUMNS), keep_dims=True)
    return ops.reduce_sum(rows, _axes(ROWS), keep_dims=True)


def _axes(*values: float) -> Node:
    kind = np.int64 if isinstance(values[0], int) else np.float32
    return ops.constant(np.array(values, kind))


def _number(value: float) -> Node:
    return ops.constant(np.array([value], np.float32))


def _constant(weights: Tensor) -> Node:
    return ops.constant(weights.detach().cpu().float().contiguous().numpy())
