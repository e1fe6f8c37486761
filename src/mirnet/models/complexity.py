"""What a network costs: parameters, multiply-accumulates, convolutions, activations (Table 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """Counts of one forward pass.

    Attributes:
        parameters: numbers that are trained.
        macs: multiply-accumulates in convolutions; the paper prints them as "FLOPs".
        convolutions: calls of a convolution; shared ones count each time.
        convolution_modules: convolutions that have weights of their own.
        activations: output elements of convolutions.
    """

    parameters: int
    macs: int
    convolutions: int
    convolution_modules: int
    activations: int


def complexity(config: MIRNetV2Config, height: int = 256, width: int = 256) -> Complexity:
    """Count the cost of one ``height``×``width`` image, without computing anything.

    Height and width must be multiples of ``config.multiple``.
    """
    with torch.device("meta"):
        return measure(MIRNetV2(config), torch.empty(1, config.in_channels, height, width))


def measure(network: nn.Module, *inputs: object) -> Complexity:
    """Count the cost of any network or block on these inputs (on the meta device: for free)."""
    calls: list[tuple[int, int]] = []

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        per_output = module.weight[0].numel()  # type: ignore[index]
        calls.append((output.numel() * per_output, output.numel()))

    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    handles = [module.register_forward_hook(count) for module in convolutions]
    try:
        network(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return Complexity(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        macs=sum(macs for macs, _ in calls),
        convolutions=len(calls),
        convolution_modules=len(convolutions),
        activations=sum(elements for _, elements in calls),
    )
