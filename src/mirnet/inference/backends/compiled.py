"""PyTorch's own compiler: fused kernels, after a minute for the first picture."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor

from mirnet.errors import DeviceError, one_line
from mirnet.inference.memory import lowered
from mirnet.models.network import Network

KINDS = ("cpu", "cuda")
"""Devices that it makes kernels for."""


class Compiled:
    """Runs a network where it lies."""

    def __init__(self, network: Network) -> None:
        """Take a network in evaluation mode, on its device."""
        self.name = f"PyTorch {torch.__version__}, compiled"
        self._network = network
        self._compiled: Any = None
        self._lock = threading.Lock()

    @torch.no_grad()
    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Run a batch, as ``Backend`` says.

        The first of a size compiles; when a second size comes, it compiles for all.

        Raises DeviceError where there is no compiler.
        """
        with self._lock, lowered(images.device.type, dtype):
            if self._compiled is None:
                self._compiled = torch.compile(self._network)
            try:
                outputs: Tensor = self._compiled(images)
            except torch._dynamo.exc.BackendCompilerFailed as error:
                raise DeviceError(
                    f"runtime compiled: PyTorch can't compile here ({one_line(error)}); it needs a "
                    "C++ compiler and Python's headers, or take runtime torch"
                ) from error
            return outputs.float()

    def memory(self, estimate: int) -> int:
        """As ``Backend`` says."""
        return estimate

    def __getstate__(self) -> dict[str, Any]:
        """Without what can't be pickled; it is made again."""
        return {"name": self.name, "_network": self._network}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin with nothing compiled."""
        vars(self).update(state | {"_compiled": None, "_lock": threading.Lock()})
