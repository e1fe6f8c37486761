"""Which runtime computes: the fastest one installed that gives what PyTorch gives."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import torch

from mirnet.choices import Runtime
from mirnet.errors import ConfigError, DeviceError
from mirnet.inference.backends import openvino
from mirnet.inference.backends.backend import Backend
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.pytorch import PyTorch
from mirnet.inference.backends.trial import Trial, trial_of
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.network import Network

WORTH = 1 << 19
"""Pixels from which on it is worth while to load a runtime and compile a graph for the size."""

logger = logging.getLogger("mirnet")

_ALONE = threading.RLock()
"""Of two threads, one loads the runtime and tries it: a trial beside another would time both."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The arithmetic of a picture.

    Attributes:
        dtype: what was asked for.
        for_8_bits: whether bfloat16 will do instead where a runtime is faster with it, since the
            result is rounded to 8 bits.
    """

    dtype: torch.dtype
    for_8_bits: bool = False


class Runtimes:
    """The runtimes of one network on one device."""

    def __init__(
        self, network: Network, device: torch.device, dtype: torch.dtype, runtime: Runtime
    ) -> None:
        """Take a network, on its device.

        Args:
            network: in evaluation mode.
            device: where it lies.
            dtype: the arithmetic that was asked for.
            runtime: which; ``auto`` looks for the fastest, when a picture makes it worth while.

        Raises:
            MissingDependencyError: the runtime is not installed.
            DeviceError: it can't compute there, or not in this arithmetic.
            ConfigError: there is no such runtime, or it can't run this network.
        """
        if runtime not in get_args(Runtime):
            known = ", ".join(get_args(Runtime))
            raise ConfigError(f"runtime: must be one of {known}, got {runtime!r}")
        self._network, self._device, self._dtype = network, device, dtype
        self._runtime = runtime
        self._pytorch = PyTorch(network)
        if runtime == "openvino":
            _require_openvino(network, device, dtype)

    def pick(self, pixels: int, wanted: Wanted) -> tuple[Backend, torch.dtype]:
        """What computes so many pixels, of a whole batch, and in which arithmetic."""
        is_small = pixels < WORTH and self._runtime == "auto"
        if self._runtime == "torch" or is_small:
            return self._pytorch, wanted.dtype
        with _ALONE:
            if self._openvino is None:
                return self._pytorch, wanted.dtype
            if wanted.for_8_bits and self.trial.is_good_for_8_bits:
                return self._openvino, torch.bfloat16
            if self._runtime == "openvino" or self.trial.is_good:
                return self._openvino, wanted.dtype
            return self._pytorch, wanted.dtype

    @cached_property
    def _openvino(self) -> OpenVINO | None:
        """OpenVINO with this network; it is loaded when there is work for it."""
        able = _openvino_is_able(self._network, self._device, self._dtype)
        return OpenVINO(self._network) if able else None  # type: ignore[arg-type]

    @cached_property
    def trial(self) -> Trial:
        """What OpenVINO does with this network here, said once."""
        assert isinstance(self._network, MIRNetV2)
        assert self._openvino
        trial = trial_of(self._network)
        logger.info("%s: %s", self._openvino.name, trial)
        return trial


def report(network: MIRNetV2) -> str:
    """What takes large pictures on this CPU, in words, after another trial."""
    if not openvino.is_installed():
        return f'{PyTorch(network).name}; pip install "mirnet[fast]" adds a faster one'
    return f"{OpenVINO(network).name}: {trial_of(network, anew=True)}"


def _require_openvino(network: Network, device: torch.device, dtype: torch.dtype) -> None:
    if not isinstance(network, MIRNetV2):
        raise ConfigError(
            f"runtime openvino: runs mirnet-v2, not {network.config.NETWORK}; take torch"
        )
    if device.type != "cpu":
        raise DeviceError(f"runtime openvino: computes on the CPU, not on {device}; take torch")
    openvino.require(dtype)


def _openvino_is_able(network: Network, device: torch.device, dtype: torch.dtype) -> bool:
    return (
        isinstance(network, MIRNetV2)
        and device.type == "cpu"
        and openvino.is_installed()
        and dtype in openvino.arithmetics()
    )
