"""The operations of OpenVINO's graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops
from torch import Tensor, nn

from mirnet.inference.backends.graph import COLUMNS, ROWS, Node, draw
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.skff import NEGATIVE_SLOPE


def graph_of(network: MIRNetV2, shape: tuple[int, int, int, int]) -> Any:
    """The graph for a padded batch of this shape, to the last convolution's output.

    Sizes that are known take a third less memory than open ones.
    """
    image = ops.parameter(list(shape), np.float32)
    return openvino.Model([draw(network, image, OpenVINOOperations())], [image], "mirnet")


class OpenVINOOperations:
    """As ``Operations`` says; OpenVINO has no type hints for its own."""

    add = staticmethod(ops.add)
    subtract = staticmethod(ops.subtract)
    multiply = staticmethod(ops.multiply)
    divide = staticmethod(ops.divide)
    sigmoid = staticmethod(ops.sigmoid)
    exp = staticmethod(ops.exp)

    def convolved(self, conv: nn.Conv2d, features: Node) -> Node:  # noqa: D102
        pad = [int(size) for size in conv.padding]
        where = ([1, 1], pad, pad, [1, 1])
        if conv.groups == 1:
            return ops.convolution(features, _constant(conv.weight), *where)
        per_group = conv.weight.reshape(conv.groups, -1, *conv.weight.shape[1:])
        return ops.group_convolution(features, _constant(per_group), *where)

    def rectified(self, features: Node) -> Node:  # noqa: D102
        return ops.prelu(features, self.number(NEGATIVE_SLOPE))

    def halved(self, features: Node) -> Node:  # noqa: D102
        return ops.avg_pool(features, [2, 2], [0, 0], [0, 0], [2, 2], True, "ceil")

    def doubled(self, features: Node) -> Node:  # noqa: D102
        return ops.interpolate(
            features,
            ops.constant(np.array([2, 2], np.float32)),
            mode="linear_onnx",
            shape_calculation_mode="scales",
            coordinate_transformation_mode="half_pixel",
            axes=_axes(ROWS, COLUMNS),
        )

    def joined(self, streams: list[Node]) -> Node:  # noqa: D102
        return ops.concat(streams, 1)

    def number(self, value: float) -> Node:  # noqa: D102
        return ops.constant(np.array([value], np.float32))

    def peak(self, features: Node, *axes: int) -> Node:  # noqa: D102
        return ops.reduce_max(features, _axes(*axes), keep_dims=True)

    def mean(self, features: Node, axis: int) -> Node:  # noqa: D102
        # Columns by a mean and rows by a sum: of two that are alike OpenVINO makes one, and loses
        # the digits that two steps keep.
        if axis == COLUMNS:
            return ops.reduce_mean(features, _axes(axis), keep_dims=True)
        return ops.multiply(self.sum(features, axis), self.number(1 / features.shape[axis]))

    def sum(self, features: Node, axis: int) -> Node:  # noqa: D102
        if axis == COLUMNS:
            return ops.multiply(self.mean(features, axis), self.number(features.shape[axis]))
        return ops.reduce_sum(features, _axes(axis), keep_dims=True)


def _axes(*axes: int) -> Node:
    return ops.constant(np.array(axes, np.int64))


def _constant(weights: Tensor) -> Node:
    return ops.constant(weights.detach().cpu().float().contiguous().numpy())
