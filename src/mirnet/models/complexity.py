"""What a network costs: parameters, multiply-accumulates, convolutions, activations (Table 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mirnet.models.config import Fusion
from mirnet.models.network_config import NetworkConfig, require_int
from mirnet.models.networks import build
from mirnet.models.rcb import ContextModule
from mirnet.models.skff import SelectiveKernelFusion, make_fusion

FUSED = 64
"""Channels of the two streams whose fusion Table 9 counts."""
MOST = 2**20
"""Pixels of a side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """Counts of one forward pass.

    Attributes:
        parameters: numbers that are trained.
        macs: multiply-accumulates in convolutions; the paper prints them as "FLOPs". A transposed
            convolution's are counted by its input positions, which is what it computes.
        operations: what Table 8 seems to count as FLOPs: ``macs``, those of the context's weighted
            sum, two operations a position for its softmax, and one a value for SKFF's mean of the
            sum. The paper does not say; this count gives all four of its numbers.
        convolutions: calls of a convolution; shared ones count each time.
        convolution_modules: convolutions that have weights of their own.
        activations: output elements of convolutions.
    """

    parameters: int
    macs: int
    operations: int
    convolutions: int
    convolution_modules: int
    activations: int


def complexity(config: NetworkConfig, height: int = 256, width: int = 256) -> Complexity:
    """Count the cost of one ``height``×``width`` image, without computing anything.

    Height and width must be multiples of ``config.multiple``; ConfigError if they are below 1.
    """
    for name, side in (("height", height), ("width", width)):
        require_int(name, side, 1, MOST)
    with torch.device("meta"):
        return measure(build(config), torch.empty(1, config.in_channels, height, width))


def fusion_parameters(kind: Fusion) -> int:
    """The parameters of one fusion of two streams of 64 channels (Table 9)."""
    return sum(parameter.numel() for parameter in make_fusion(kind, FUSED).parameters())


def measure(network: nn.Module, *inputs: object) -> Complexity:
    """Count the cost of any network or block on these inputs (on the meta device: for free)."""
    calls: list[tuple[int, int]] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # A weight of a convolution is one output channel's, of a transposed one an input channel's.
        walked = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        per_value = module.weight[0].numel()  # type: ignore[index]
        calls.append((walked.numel() * per_value, output.numel()))

    beside: list[int] = []

    def count_beside(module: nn.Module, inputs: tuple[Any, ...], _: Tensor) -> None:
        features = inputs[0][0] if isinstance(module, SelectiveKernelFusion) else inputs[0]
        softmax = 0 if isinstance(module, SelectiveKernelFusion) else 2 * features[:, 0].numel()
        beside.append(features.numel() + softmax)

    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    convolutions = [module for module in network.modules() if isinstance(module, kinds)]
    handles = [module.register_forward_hook(count) for module in convolutions]
    handles += [
        (module.mask if isinstance(module, ContextModule) else module).register_forward_hook(
            count_beside
        )
        for module in network.modules()
        if isinstance(module, ContextModule | SelectiveKernelFusion)
    ]
    try:
        network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    macs = sum(macs for macs, _ in calls)
    return Complexity(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=macs,
        operations=macs + sum(beside),
        convolutions=len(calls),
        convolution_modules=len(convolutions),
        activations=sum(elements for _, elements in calls),
    )
