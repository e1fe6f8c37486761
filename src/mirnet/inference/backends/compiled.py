"""PyTorch's own compiler: fused kernels, after a minute for the first picture."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import threading
from typing import Any

import torch
from torch import Tensor

from mirnet.errors import DeviceError, one_line
from mirnet.inference.memory import lowered
from mirnet.models.network import Network

KINDS = ("cpu", "cuda")
"""Devices that it makes kernels for."""
BEYOND = 64 << 20
"""Bytes that it takes beyond PyTorch's estimate, which were seen on the smallest pictures."""
COMPILERS = {"win32": "cl", "darwin": "clang++"}
"""Of C++, that PyTorch asks for unless ``CXX`` names another; elsewhere it is g++."""


class Compiled:
    """Runs a network where it lies."""

    def __init__(self, network: Network) -> None:
        """Take a network that is ``prepared``, on its device."""
        self.name = f"PyTorch {torch.__version__}, compiled"
        self._network = network
        self._compiled: Any = None
        self._lock = threading.Lock()

    @torch.no_grad()
    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Run a batch, as ``Backend`` says.

        The first compiles, and so may the first of each further kind: other sizes, squares, more
        than one, another arithmetic. Raises DeviceError where that can't be done.
        """
        with self._lock, lowered(images.device.type, dtype):
            try:
                if self._compiled is None:
                    self._compiled = torch.compile(self._network)
                outputs: Tensor = self._compiled(images)
            except torch._dynamo.exc.TorchDynamoException as error:
                why = one_line(getattr(error, "inner_exception", error))
                raise DeviceError(
                    f"runtime compiled: can't compile here ({why[:200]}); take runtime torch"
                ) from error
            return outputs.float()

    def memory(self, estimate: int) -> int:
        """As ``Backend`` says."""
        return estimate + BEYOND


def require(device: torch.device) -> None:
    """Raise DeviceError where it can't compile."""
    if device.type not in KINDS:
        kinds = " and ".join(KINDS)
        raise DeviceError(f"runtime compiled: is for {kinds}, not {device}; take torch")
    compiler = os.environ.get("CXX") or COMPILERS.get(sys.platform, "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        raise DeviceError(
            f"runtime compiled: needs a C++ compiler, and {compiler} isn't there; install one, or "
            "name one in CXX, or take runtime torch"
        )
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise DeviceError("runtime compiled: needs triton on CUDA; install it, or take torch")
