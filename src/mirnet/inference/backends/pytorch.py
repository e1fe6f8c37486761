"""The reference: the network as it stands in ``models/``."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from mirnet.inference.memory import lowered
from mirnet.models.network import Network


class PyTorch:
    """Runs a network where it lies."""

    def __init__(self, network: Network) -> None:
        """Take a network that is ``prepared``, on its device."""
        self.name = f"PyTorch {torch.__version__}"
        self._network = network

    @torch.no_grad()
    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Run a batch, as ``Backend`` says."""
        with lowered(images.device.type, dtype):
            outputs: Tensor = self._network(images)
            return outputs.float()

    def memory(self, estimate: int) -> int:
        """As ``Backend`` says."""
        return estimate


def prepared(network: Network, device: torch.device) -> Network:
    """A copy on a device, in evaluation mode, in float32 and the layout that is fastest there."""
    ready = copy.deepcopy(network).to(device, torch.float32).eval()
    if device.type != "mps":
        # 1.3 times as fast on the CPU; PyTorch's type hints miss this overload.
        ready.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready
