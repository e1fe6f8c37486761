"""The operations of ONNX graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mirnet.inference.backends.graph import Node, draw
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.skff import NEGATIVE_SLOPE

OPSET = 18
INPUT = "image"


def graph_of(network: MIRNetV2) -> bytes:
    """The graph for padded batches of any shape, to the last convolution's output."""
    ops = ONNXOperations()
    result = draw(network, INPUT, ops)
    channels = network.config.in_channels, network.config.out_channels
    image, restored = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", count, "h", "w"])
        for name, count in zip((INPUT, result), channels, strict=True)
    )
    constants = list(ops.constants.values())
    graph = helper.make_graph(ops.nodes, "mirnet", [image], [restored], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    # The oldest form that holds the operations: each release of ONNX Runtime reads the older ones.
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class ONNXOperations:
    """As ``Operations`` says; a value is its name."""

    def __init__(self) -> None:
        """Begin with an empty graph."""
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}

    def convolved(self, conv: nn.Conv2d, features: Node) -> Node:  # noqa: D102
        weights = self._constant(conv.weight.detach().cpu().float().contiguous().numpy())
        pad = [int(size) for size in conv.padding]
        return self._node("Conv", features, weights, group=conv.groups, pads=pad * 2)

    def rectified(self, features: Node) -> Node:  # noqa: D102
        return self._node("LeakyRelu", features, alpha=NEGATIVE_SLOPE)

    def halved(self, features: Node) -> Node:  # noqa: D102
        return self._node("AveragePool", features, kernel_shape=[2, 2], strides=[2, 2])

    def doubled(self, features: Node) -> Node:  # noqa: D102
        scales = self._constant(np.array([1, 1, 2, 2], np.float32))
        return self._node("Resize", features, "", scales, mode="linear")

    def joined(self, streams: list[Node]) -> Node:  # noqa: D102
        return self._node("Concat", *streams, axis=1)

    def number(self, value: float) -> Node:  # noqa: D102
        return self._constant(np.array([value], np.float32))

    def sigmoid(self, features: Node) -> Node:  # noqa: D102
        return self._node("Sigmoid", features)

    def exp(self, features: Node) -> Node:  # noqa: D102
        return self._node("Exp", features)

    def add(self, first: Node, second: Node) -> Node:  # noqa: D102
        return self._node("Add", first, second)

    def subtract(self, first: Node, second: Node) -> Node:  # noqa: D102
        return self._node("Sub", first, second)

    def multiply(self, first: Node, second: Node) -> Node:  # noqa: D102
        return self._node("Mul", first, second)

    def divide(self, first: Node, second: Node) -> Node:  # noqa: D102
        return self._node("Div", first, second)

    def peak(self, features: Node, *axes: int) -> Node:  # noqa: D102
        return self._node("ReduceMax", features, self._axes(*axes))

    def mean(self, features: Node, axis: int) -> Node:  # noqa: D102
        return self._node("ReduceMean", features, self._axes(axis))

    def sum(self, features: Node, axis: int) -> Node:  # noqa: D102
        return self._node("ReduceSum", features, self._axes(axis))

    def _axes(self, *axes: int) -> Node:
        return self._constant(np.array(axes, np.int64))

    def _constant(self, values: Any) -> Node:
        name = f"c{len(self.constants)}"
        self.constants[name] = numpy_helper.from_array(values, name)
        return name

    def _node(self, kind: str, *inputs: Node, **attributes: Any) -> Node:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name
