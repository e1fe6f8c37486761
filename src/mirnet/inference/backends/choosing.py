"""Which runtime computes: the fastest one installed that gives what PyTorch gives."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import torch

from mirnet.choices import Runtime
from mirnet.errors import ConfigError, DeviceError, MirnetError, one_line
from mirnet.inference.backends import compiled
from mirnet.inference.backends.backend import Candidate, Choice, is_there
from mirnet.inference.backends.compiled import Compiled
from mirnet.inference.backends.onnxruntime import ONNXRuntime
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.pytorch import PyTorch, prepared
from mirnet.inference.backends.trial import Trial, trial_of
from mirnet.inference.devices import is_emulated
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.network import Network

CANDIDATES: dict[Runtime, type[Candidate]] = {"openvino": OpenVINO, "onnxruntime": ONNXRuntime}
"""What may take PyTorch's place on a CPU; the first is preferred, since it takes less memory."""
CLEARLY = 1.5
"""How much faster one that isn't preferred must be: it takes 1.6 times the memory, and two trials
differ by chance. Beside other work ONNX Runtime was taken for a photo where OpenVINO was faster."""
WORTH = 1 << 19
"""Pixels from which on it is worth while to load a runtime and compile a graph for the size."""

logger = logging.getLogger("mirnet")

_ALONE = threading.Lock()
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
            network: one that is ``prepared``.
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
        self._broken: list[str] = []

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process, which may be on another machine, finds out for itself."""
        return Runtimes, (self._network, self._device, self._dtype, self._runtime)

    def plain(self, wanted: Wanted) -> Choice:
        """PyTorch."""
        return Choice(self._pytorch, wanted.dtype)

    def may_lower(self, pixels: int, wanted: Wanted) -> bool:
        """Whether so many pixels may go in bfloat16 without being asked for it."""
        may = wanted.for_8_bits and self._device.type == "cpu" and not self._is_plain(pixels)
        return may and not is_emulated(torch.bfloat16)

    def ranked(self, pixels: int, wanted: Wanted) -> list[Choice]:
        """What can compute so many pixels, of a whole batch; the best first."""
        if self._is_plain(pixels):
            return [self.plain(wanted)]
        with _ALONE:
            if self._runtime in CANDIDATES:
                candidate = self._candidates[0]
                self._trial(candidate)  # which warns of one that is wrong
                lowers = self._lowers(candidate, wanted)
                return [Choice(candidate, torch.bfloat16 if lowers else wanted.dtype)]
            return [*self._good(wanted), self.plain(wanted)]

    def leave_out(self, choice: Choice) -> bool:
        """Ask no more for a runtime that failed; False of PyTorch, and of one that was named."""
        if self._runtime != "auto" or not isinstance(choice.backend, Candidate):
            return False
        with _ALONE:
            if choice.backend in self._candidates:
                self._candidates.remove(choice.backend)
        return True

    def report(self) -> list[str]:
        """What can take large pictures, and what does, a sentence each, after another trial."""
        for candidate in self._candidates:
            self._trial(candidate, anew=True)
        if not self._candidates and not self._broken:
            return [f'{self._pytorch.name}; pip install "mirnet[fast]" or "mirnet[onnx]" may add a '
                    "faster one"]  # fmt: skip
        low, high = (
            self.ranked(WORTH, Wanted(self._dtype, for_8_bits))[0] for for_8_bits in (True, False)
        )
        taken = f"{high}" if low == high else f"{low}, of more than 8 bits through {high}"
        return [
            *self._broken,
            *(f"{each.name}: {self._trial(each)}" for each in self._candidates),
            f"large photos go through {taken}",
        ]

    @cached_property
    def _candidates(self) -> list[Candidate]:
        """Those that are asked for and able, with this network; loaded when there is work."""
        network = self._network
        if not isinstance(network, MIRNetV2) or self._device.type != "cpu":
            return []
        if self._runtime in CANDIDATES:
            return [CANDIDATES[self._runtime](network)]
        found = []
        for candidate in CANDIDATES.values():
            if not all(map(is_there, candidate.PACKAGES)):
                continue
            try:
                if self._dtype in candidate.arithmetics():
                    found.append(candidate(network))
            except Exception as why:  # what is only faster stops no photo
                self._broken.append(f"{candidate.TITLE} can't be used: {one_line(why)}")
                logger.warning("%s", self._broken[-1])
                logger.debug("%s", candidate.TITLE, exc_info=why)
        return found

    def _is_plain(self, pixels: int) -> bool:
        """Whether so many go through PyTorch without another being asked."""
        is_small = pixels < WORTH and self._runtime == "auto"
        return is_small or self._runtime in ("torch", "compiled")

    def _good(self, wanted: Wanted) -> list[Choice]:
        """Those that a trial showed to be right and fast, the fastest first."""
        found = []
        for place, candidate in enumerate(self._candidates):
            trial, is_full = self._trial(candidate), wanted.dtype == torch.float32
            if self._lowers(candidate, wanted):
                choice, speed = Choice(candidate, torch.bfloat16), trial.low_speed
            elif trial.is_good if is_full else trial.is_good_in_bfloat16:
                choice = Choice(candidate, wanted.dtype)
                speed = trial.speed if is_full else trial.low_speed
            else:
                continue
            found.append((speed / (CLEARLY if place else 1), choice))
        return [choice for _, choice in sorted(found, key=lambda each: -each[0])]

    def _lowers(self, candidate: Candidate, wanted: Wanted) -> bool:
        """Whether it computes in bfloat16 what is rounded to 8 bits."""
        return (
            wanted.for_8_bits
            and torch.bfloat16 in candidate.arithmetics()
            and self._trial(candidate).is_good_for_8_bits
        )

    def _trial(self, candidate: Candidate, *, anew: bool = False) -> Trial:
        """What a runtime does with this network here, said once."""
        if anew or candidate.name not in self._trials:
            assert isinstance(self._network, MIRNetV2)
            trial = trial_of(type(candidate), self._network, anew=anew)
            self._trials[candidate.name] = trial
            if not anew:
                logger.log(
                    logging.WARNING if trial.is_wrong else logging.INFO,
                    "%s: %s", candidate.name, trial
                )  # fmt: skip
        return self._trials[candidate.name]


def report(network: Network) -> list[str]:
    """What can take large pictures on this CPU, and what does, a sentence each."""
    cpu = torch.device("cpu")
    return Runtimes(prepared(network, cpu), cpu, torch.float32, "auto").report()


def _require(runtime: Runtime, network: Network, device: torch.device, dtype: torch.dtype) -> None:
    """Raise for a runtime that was named and can't do it."""
    if runtime == "compiled":
        compiled.require(device)
    if (candidate := CANDIDATES.get(runtime)) is None:
        return
    if not isinstance(network, MIRNetV2):
        raise ConfigError(
            f"runtime {runtime}: runs mirnet-v2, not {network.config.NETWORK}; take torch"
        )
    if device.type != "cpu":
        raise DeviceError(f"runtime {runtime}: computes on the CPU, not on {device}; take torch")
    try:
        candidate.load()
        candidate.require(dtype)
    except MirnetError:
        raise
    except Exception as why:
        raise DeviceError(
            f"runtime {runtime}: can't be used ({one_line(why)}); install it anew, or take torch"
        ) from why
