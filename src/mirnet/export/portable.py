"""A network with what surrounds it: any size in, the same size out, all of it in one graph."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from mirnet.models.network import Network

SMALLEST = 8
"""Height and width from which on the graph holds, in pixels."""


class Portable(nn.Module):
    """Clips to [0, 1], pads as ``mirnet.inference.padding`` does, restores, crops and clips.

    ``(N, in_channels, H, W)`` → ``(N, out_channels, H, W)``, float32; H and W from ``SMALLEST`` up.
    It is written in operations on indices: a graph holds them for every size, where padding by an
    amount that hangs on the size does not.
    """

    def __init__(self, network: Network) -> None:
        """Take a copy of a network, in evaluation mode on the CPU, in float32."""
        super().__init__()
        self.network = copy.deepcopy(network).cpu().float().eval()
        # The graph makes the sizes right itself, and an exporter can't trace a refusal.
        self.network.check = _accept  # type: ignore[method-assign]

    def forward(self, image: Tensor) -> Tensor:
        """Restore a batch of images of any size."""
        height, width = image.shape[2], image.shape[3]
        rows, columns = self._padded(height), self._padded(width)
        padded = image.clamp(0, 1)[:, :, rows][:, :, :, columns]
        restored: Tensor = self.network(padded).clamp(0, 1)
        cropped = restored.index_select(2, torch.arange(height))
        return cropped.index_select(3, torch.arange(width))

    def _padded(self, length: int) -> Tensor:
        """Which row or column stands at each place of the padded picture: reflected at its end."""
        multiple = self.network.config.multiple
        places = torch.arange((length + multiple - 1) // multiple * multiple)
        return torch.where(places >= length, 2 * length - 2 - places, places)


def _accept(image: Tensor) -> None:
    """Any size is right."""
