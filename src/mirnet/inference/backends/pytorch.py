"""The reference: the network as it stands in ``models/``."""

from __future__ import annotations

import torch
from torch import Tensor

from mirnet.inference.memory import lowered
from mirnet.models.network import Network


class PyTorch:
    """Runs a network where it lies."""

    def __init__(self, network: Network) -> None:
        """Take a network in evaluation mode, on its device."""
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
