"""What a runtime does with a network on this machine: tried once, and kept for the next time."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from mirnet.atomic import replacing, require_folder
from mirnet.environment import code_sha256
from mirnet.inference.backends.backend import Backend, Candidate
from mirnet.inference.backends.pytorch import PyTorch
from mirnet.models.mirnet_v2 import MIRNetV2

PARITY = 1e-5
"""The most that float32 may differ from PyTorch's anywhere."""
QUIET = 60.0
"""The least PSNR, in dB, between bfloat16 and float32: rounding to 8 bits makes 59 dB by itself."""
LOWERED = 40.0
"""The same where bfloat16 was asked for: the networks that ship have 54 dB and more."""
AS_FAST = 0.8
"""The least speed: the trial's picture is small, and on large ones PyTorch falls behind. What was
1.3 times as fast at 256×256 was 3 times as fast at 1024×1024."""
SIZE = (192, 320)
"""Height and width of the picture that is tried."""
ROUNDS = 3
"""How often each is timed."""

HUGE = 1e6
"""No figure of a trial comes near it."""

logger = logging.getLogger("mirnet")


@dataclass(frozen=True, slots=True)
class Trial:
    """What a runtime did with a network, beside PyTorch.

    Attributes:
        speed: how many times as fast it was, in float32.
        error: the largest difference in float32, of values in [0, 1]; 1 if it did not run.
        low_speed: how many times as fast as PyTorch in float32 it was in bfloat16; 0 if this
            runtime has none here.
        low_psnr: of bfloat16 against float32, in dB.
    """

    speed: float
    error: float
    low_speed: float = 0.0
    low_psnr: float = 0.0

    def __str__(self) -> str:
        """What came of it, in words."""
        if not self.speed:
            return "can't run this network"
        low = f", in bfloat16 {self.low_speed:.1f} times" if self.low_speed else ""
        wrong = ", which is too much" if self.is_wrong else ""
        return f"{self.speed:.1f} times as fast as PyTorch{low}; differs by {self.error:.0e}{wrong}"

    @property
    def is_wrong(self) -> bool:
        """Whether it ran and gave something else than PyTorch."""
        return self.speed > 0 and not self.error <= PARITY

    @property
    def is_good(self) -> bool:
        """Whether it gives the same, and is so fast that it wins on a large picture."""
        return self.error <= PARITY and self.speed >= AS_FAST

    @property
    def is_good_for_8_bits(self) -> bool:
        """Whether bfloat16 is faster still, and disappears in the rounding of 8 bits."""
        is_faster = self.low_speed > max(self.speed, AS_FAST)
        return self.is_good_in_bfloat16 and is_faster and self.low_psnr >= QUIET

    @property
    def is_good_in_bfloat16(self) -> bool:
        """Whether it will do where bfloat16 was asked for."""
        is_right = self.error <= PARITY and self.low_psnr >= LOWERED
        return is_right and self.low_speed >= AS_FAST


FAILED = Trial(speed=0.0, error=1.0)
"""It isn't kept: what could not run, for want of memory perhaps, may run the next time."""


def trial_of(candidate: type[Candidate], network: MIRNetV2, *, anew: bool = False) -> Trial:
    """What a trial gave, now or, unless ``anew``, earlier; of a network that is ``prepared``.

    Whatever goes wrong, it is a trial that failed: a runtime that is only faster stops no photo.
    """
    try:
        return _trial_of(candidate, network, anew=anew)
    except Exception as why:
        logger.debug("%s can't run this network", candidate.TITLE, exc_info=why)
        return FAILED


def _trial_of(candidate: type[Candidate], network: MIRNetV2, *, anew: bool) -> Trial:
    folder = cache_folder()
    if folder is None:
        return _try(candidate, network)
    place = folder / "trials" / f"{_key(candidate, network)}.json"
    if not anew and (known := _known(place)):
        return known
    trial = _try(candidate, network)
    _keep(place, trial)
    return trial


def cache_folder() -> Path | None:
    """Where mirnet keeps what it can find out again; ``MIRNET_CACHE`` names another folder.

    None for a user without a home, as containers have them.
    """
    if named := os.environ.get("MIRNET_CACHE"):
        return Path(named)
    around = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        return (Path(around) if around else Path.home() / ".cache") / "mirnet"
    except RuntimeError:
        return None


def _try(candidate: type[Candidate], network: MIRNetV2) -> Trial:
    """Run both, and compare time and result."""
    picture = _picture(network.config.in_channels)
    reference, tried = PyTorch(network), candidate(network)
    runs: list[tuple[Backend, torch.dtype]] = [(reference, torch.float32)]
    runs += [(tried, dtype) for dtype in (torch.float32, torch.bfloat16)
             if dtype in candidate.arithmetics()]  # fmt: skip
    (expected, given, *low), (reference_s, seconds, *low_s) = _timed(runs, picture)
    error = float((given - expected).abs().max())
    if not low:
        return Trial(reference_s / seconds, error)
    noise = float((low[0].clamp(0, 1) - given.clamp(0, 1)).square().mean())
    psnr = -10 * float(torch.tensor(max(noise, 1e-12)).log10())
    return Trial(reference_s / seconds, error, reference_s / low_s[0], psnr)


def _timed(
    runs: list[tuple[Backend, torch.dtype]], picture: Tensor
) -> tuple[list[Tensor], list[float]]:
    """The results, and the best time of each; the first run of each compiles.

    They take turns: what else the machine does then slows all alike.
    """
    outputs = [backend(picture, dtype) for backend, dtype in runs]
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):
        for (backend, dtype), taken in zip(runs, times, strict=True):
            start = time.perf_counter()
            backend(picture, dtype)
            taken.append(time.perf_counter() - start)
    return outputs, [min(taken) for taken in times]


def _picture(channels: int) -> Tensor:
    """Slopes with noise on them, the same each time."""
    height, width = SIZE
    slope = torch.linspace(0, 1, width) * torch.linspace(0.2, 1, height)[:, None]
    noise = torch.randn(channels, height, width, generator=torch.Generator().manual_seed(0))
    return (slope + 0.05 * noise).clamp(0, 1)[None]


def _key(candidate: type[Candidate], network: MIRNetV2) -> str:
    """What the trial hangs on: weights, our code, runtimes, processor."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    versions = (code_sha256(), torch.__version__, candidate(network).name)
    setting = (candidate.setting(), torch.get_num_threads())
    digest.update(repr((network.config, versions, setting)).encode())
    return digest.hexdigest()


def _known(place: Path) -> Trial | None:
    """What was kept; None if there is nothing, or something else."""
    try:
        if not place.is_file():  # a pipe would be waited for
            return None
        found = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or set(found) != set(Trial.__slots__):
        return None
    is_sound = all(type(each) in (int, float) and 0 <= each < HUGE for each in found.values())
    return Trial(**found) if is_sound and found["speed"] else None


def _keep(place: Path, trial: Trial) -> None:
    """For the next time, where that can be written; a file each, so that none writes another's."""
    try:
        require_folder(place.parent)
        with replacing(place) as temporary:
            temporary.write_text(json.dumps(asdict(trial), indent=1) + "\n", "utf-8")
    except OSError:
        logger.debug("%s: can't be written", place, exc_info=True)
