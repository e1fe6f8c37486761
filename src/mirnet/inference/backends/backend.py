"""What runs a network on a picture that goes in one piece."""

from __future__ import annotations

import importlib.util
import threading
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor

from mirnet.errors import DeviceError, MissingDependencyError, one_line
from mirnet.models.config import MIRNetV2Config
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


class Choice(NamedTuple):
    """What computes a picture in one piece, and its arithmetic."""

    backend: Backend
    dtype: torch.dtype

    def __str__(self) -> str:
        """In words."""
        return f"{self.backend.name} in {str(self.dtype).removeprefix('torch.')}"


class Candidate(ABC):
    """A runtime for the CPU beside PyTorch, which shows in a trial what it is worth.

    Attributes:
        TITLE: what it is called, for people.
        PACKAGES: what has to be installed for it.
    """

    TITLE: ClassVar[str]
    PACKAGES: ClassVar[tuple[str, ...]]

    def __init__(self, network: MIRNetV2) -> None:
        """Take a network in evaluation mode.

        Raises MissingDependencyError where the runtime is not installed, or broken.
        """
        self.name = f"{self.TITLE} {str(self.load().__version__).split('-')[0]}"
        self._network = network
        # One at a time: it uses all threads anyway, and two would take twice the memory.
        self._lock = threading.Lock()

    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """Run a batch, as ``Backend`` says. Raises DeviceError for arithmetic that it lacks."""
        self.require(dtype)
        images = images.detach().contiguous()
        with self._lock:
            outputs = self._run(images, dtype)
        # In float32 here: bfloat16 has fewer levels than a photo.
        return outputs.add_(images) if _adds_image(self._network.config) else outputs

    @classmethod
    def require(cls, dtype: torch.dtype) -> None:
        """Raise DeviceError for an arithmetic that it lacks here."""
        if dtype not in cls.arithmetics():
            raise DeviceError(
                f"precision: {cls.TITLE} has no {str(dtype).removeprefix('torch.')} on this "
                "processor; choose float32, or runtime torch"
            )

    @staticmethod
    @abstractmethod
    def load() -> Any:
        """Its package. Raises MissingDependencyError."""

    @staticmethod
    @abstractmethod
    def arithmetics() -> tuple[torch.dtype, ...]:
        """What it computes in here without emulation, float32 first."""

    @staticmethod
    @abstractmethod
    def setting() -> str:
        """What its speed hangs on beside its version and the threads: the processor."""

    @abstractmethod
    def memory(self, estimate: int) -> int:
        """As ``Backend`` says."""

    @abstractmethod
    def _run(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """What the graph of ``graph.draw`` gives, in memory that is the caller's."""


def is_there(package: str) -> bool:
    """Whether a package is installed; it may be broken."""
    with suppress(ImportError, ValueError):  # of what isn't a package at all
        return importlib.util.find_spec(package) is not None
    return False


def load(package: str, title: str, extra: str) -> Any:
    """Import a runtime's package.

    Raises MissingDependencyError where it is not installed, or broken: packages that don't fit each
    other raise anything when they are imported.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise MissingDependencyError(
                f'runtime {title}: {package} is not installed; pip install "mirnet[{extra}]"'
            ) from error
        raise _broken(package, title, extra, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(package, title, extra, error) from error


def _broken(package: str, title: str, extra: str, error: BaseException) -> MissingDependencyError:
    return MissingDependencyError(
        f"runtime {title}: {package} can't be loaded ({one_line(error)}); install it anew: "
        f'pip install --force-reinstall "mirnet[{extra}]"'
    )


def _adds_image(config: MIRNetV2Config) -> bool:
    return config.skip_connections and config.residual == "image"
