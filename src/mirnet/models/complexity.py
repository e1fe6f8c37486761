"""What a network costs: parameters, multiply-accumulates, convolutions, activations (Table 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mirnet.models.network_config import NetworkConfig
from mirnet.models.networks import build


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """Counts of one forward pass.

    Attributes:
        parameters: numbers that are trained.
        macs: multiply-accumulates in convolutions; the paper prints them as "FLOPs". A transposed
            convolution's are counted by its input positions, which is what it computes.
        convolutions: calls of a convolution; shared ones count each time.
        convolution_modules: convolutions that have weights of their own.
        activations: output elements of convolutions.
    """

    parameters: int
    macs: int
    convolutions: int
    convolution_modules: int
    activations: int


def complexity(config: NetworkConfig, height: int = 256, width: int = 256) -> Complexity:
    """Count the cost of one ``height``×``width`` image, without computing anything.

    Height and width must be multiples of ``config.multiple``.
    """
    with torch.device("meta"):
        return measure(build(config), torch.empty(1, config.in_channels, height, width))


def measure(network: nn.Module, *inputs: object) -> Complexity:
    """Count the cost of any network or block on these inputs (on the meta device: for free)."""
    calls: list[tuple[int, int]] = []

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # A weight of a convolution is one output channel's, of a transposed one an input channel's.
        walked = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        per_value = module.weight[0].numel()  # type: ignore[index]
        calls.append((walked.numel() * per_value, output.numel()))

    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    convolutions = [module for module in network.modules() if isinstance(module, kinds)]
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
