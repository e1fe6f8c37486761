"""What runs a network on a picture that goes in one piece."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Backend(Protocol):
    """A runtime with a network in it.

    Attributes:
        name: the runtime and its version, for people.
    """

    name: str

    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Run ``(N, C, H, W)``; H and W are multiples of the network's.

        It takes as much memory as the estimate for PyTorch says, or less.

        Args:
            images: float32 in [0, 1], on the runtime's device.
            dtype: the arithmetic. In PyTorch global reductions and the output stay in float32; what
                OpenVINO does in bfloat16 is judged by its trial.

        Returns:
            float32, not clipped, on the same device.
        """
        ...
