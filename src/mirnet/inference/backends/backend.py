"""What runs a network on a picture that goes in one piece."""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch
from torch import Tensor

from mirnet.errors import DeviceError
from mirnet.models.mirnet_v2 import MIRNetV2


class Backend(Protocol):
    """A runtime with a network in it.

    Attributes:
        name: the runtime and its version, for people.
    """

    name: str

    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Run ``(N, C, H, W)``; H and W are multiples of the network's.

        Args:
            images: float32 in [0, 1], on the runtime's device.
            dtype: the arithmetic. In PyTorch global reductions and the output stay in float32; what
                another runtime does in bfloat16 is judged by its trial.

        Returns:
            float32, not clipped, on the same device.
        """
        ...

    def memory(self, estimate: int) -> int:
        """The most bytes that it takes for a batch, where PyTorch takes ``estimate``."""
        ...


class Candidate(Backend, Protocol):
    """A runtime for the CPU beside PyTorch, which shows in a trial what it is worth.

    Attributes:
        TITLE: what it is called, for people.
    """

    TITLE: ClassVar[str]

    def __init__(self, network: MIRNetV2) -> None:
        """Take a network in evaluation mode.

        Raises MissingDependencyError where the runtime is not installed.
        """
        ...

    @staticmethod
    def is_installed() -> bool:
        """Whether the runtime is there and can be loaded."""
        ...

    @staticmethod
    def arithmetics() -> tuple[torch.dtype, ...]:
        """What it computes in here without emulation, float32 first."""
        ...

    @staticmethod
    def setting() -> str:
        """What its speed hangs on beside its version and the threads: the processor."""
        ...


def require_arithmetic(candidate: type[Candidate], dtype: torch.dtype) -> None:
    """Raise DeviceError for an arithmetic that a runtime lacks here."""
    if dtype not in candidate.arithmetics():
        raise DeviceError(
            f"precision: {candidate.TITLE} has no {str(dtype).removeprefix('torch.')} on this "
            "processor; choose float32, or runtime torch"
        )
