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
from mirnet.inference.backends import compiled
from mirnet.inference.backends.backend import Backend, Candidate, require_arithmetic
from mirnet.inference.backends.compiled import Compiled
from mirnet.inference.backends.onnxruntime import ONNXRuntime
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.pytorch import PyTorch
from mirnet.inference.backends.trial import Trial, trial_of
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.network import Network

CANDIDATES: dict[Runtime, type[Candidate]] = {"openvino": OpenVINO, "onnxruntime": ONNXRuntime}
"""What may take PyTorch's place on a CPU."""

WORTH = 1 << 19
"""Pixels from which on it is worth while to load a runtime and compile a graph for the size."""

logger = logging.getLogger("mirnet")

_ALONE = threading.RLock()
"""Of two threads, one loads the runtimes and tries them: a trial beside another would time both."""


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
        _require(runtime, network, device, dtype)
        self._network, self._device, self._dtype = network, device, dtype
        self._runtime = runtime
        self._pytorch = Compiled(network) if runtime == "compiled" else PyTorch(network)
        self._trials: dict[str, Trial] = {}

    def pick(self, pixels: int, wanted: Wanted) -> tuple[Backend, torch.dtype]:
        """What computes so many pixels, of a whole batch, and in which arithmetic."""
        is_small = pixels < WORTH and self._runtime == "auto"
        if self._runtime in ("torch", "compiled") or is_small:
            return self._pytorch, wanted.dtype
        with _ALONE:
            if wanted.for_8_bits:
                good = [each for each in self._candidates if self._trial(each).is_good_for_8_bits]
                if good:
                    return max(good, key=lambda each: self._trial(each).low_speed), torch.bfloat16
            if self._runtime in CANDIDATES:
                return self._candidates[0], wanted.dtype
            good = [each for each in self._candidates if self._trial(each).is_good]
            if good:
                return max(good, key=lambda each: self._trial(each).speed), wanted.dtype
            return self._pytorch, wanted.dtype

    @cached_property
    def _candidates(self) -> list[Candidate]:
        """Those that are asked for and able, with this network; loaded when there is work."""
        network = self._network
        if not isinstance(network, MIRNetV2) or self._device.type != "cpu":
            return []
        return [
            candidate(network)
            for name, candidate in CANDIDATES.items()
            if self._runtime in ("auto", name)
            and candidate.is_installed()
            and self._dtype in candidate.arithmetics()
        ]

    def _trial(self, candidate: Candidate) -> Trial:
        """What a runtime does with this network here, said once."""
        if candidate.name not in self._trials:
            assert isinstance(self._network, MIRNetV2)
            trial = trial_of(type(candidate), self._network)
            logger.info("%s: %s", candidate.name, trial)
            self._trials[candidate.name] = trial
        return self._trials[candidate.name]


def report(network: MIRNetV2) -> list[str]:
    """What can take large pictures on this CPU, a sentence each, after another trial."""
    installed = [candidate for candidate in CANDIDATES.values() if candidate.is_installed()]
    if not installed:
        return [f'{PyTorch(network).name}; pip install "mirnet[fast]" adds a faster one']
    return [
        f"{candidate(network).name}: {trial_of(candidate, network, anew=True)}"
        for candidate in installed
    ]


def _require(runtime: Runtime, network: Network, device: torch.device, dtype: torch.dtype) -> None:
    """Raise for a runtime that was named and can't do it."""
    if runtime == "compiled" and device.type not in compiled.KINDS:
        kinds = " and ".join(compiled.KINDS)
        raise DeviceError(f"runtime compiled: is for {kinds}, not {device}; take torch")
    if (candidate := CANDIDATES.get(runtime)) is None:
        return
    if not isinstance(network, MIRNetV2):
        raise ConfigError(
            f"runtime {runtime}: runs mirnet-v2, not {network.config.NETWORK}; take torch"
        )
    if device.type != "cpu":
        raise DeviceError(f"runtime {runtime}: computes on the CPU, not on {device}; take torch")
    candidate(network)  # if it is installed
    require_arithmetic(candidate, dtype)
