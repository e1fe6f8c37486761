"""What a restoration takes on this machine: time and memory (the last columns of Table 1)."""

from __future__ import annotations

import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch

from mirnet.choices import Device, Precision
from mirnet.errors import InsufficientMemoryError
from mirnet.inference.devices import settle
from mirnet.inference.restorer import Restorer
from mirnet.inference.treatment import Treatment
from mirnet.models.network_config import NetworkConfig, require_int
from mirnet.models.networks import build

MOST_RUNS = 10_000
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one picture took.

    Attributes:
        seconds: the median of the runs; the device was waited for.
        memory: bytes at the peak, beyond what lay there before; None where it can't be measured.
        estimate: bytes that were said to be needed, for the way that was taken.
        device: where.
        precision: in which arithmetic.
        threads: of the CPU.
        runs: how many were timed.
    """

    seconds: float
    memory: int | None
    estimate: int
    device: str
    precision: str
    threads: int
    runs: int


def measure_apart(
    config: NetworkConfig,
    height: int,
    width: int,
    *,
    device: Device,
    precision: Precision,
    runs: int,
) -> Cost:
    """`measure_cost` in a process of its own: what another network left in memory doesn't count.

    Raises InsufficientMemoryError too if the system ends that process.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        work = pool.submit(
            measure_cost, config, height, width, device=device, precision=precision, runs=runs
        )
        try:
            return work.result()
        except BrokenProcessPool as error:
            raise InsufficientMemoryError(
                f"the process that measured {height}×{width} pixels was ended, most likely for "
                "want of memory; take a smaller image"
            ) from error


def measure_cost(
    config: NetworkConfig,
    height: int,
    width: int,
    *,
    device: Device = "auto",
    precision: Precision = "auto",
    runs: int = 10,
) -> Cost:
    """Restore a random picture of this size again and again, alone on the machine if you can.

    Whether it will fit is looked at first: the picture itself may be larger than memory.

    Memory is right for the first network that a process measures; for more, see `measure_apart`.

    Raises DeviceError and InsufficientMemoryError as a Restorer does, and ConfigError for no runs.
    """
    require_int("runs", runs, 1, MOST_RUNS)
    restorer = Restorer(build(config), device=device, precision=precision, runtime="torch")
    way = restorer.require_memory(height, width, Treatment(), where="measurement")
    picture = torch.rand(1, config.in_channels, height, width, device=restorer.device)
    # The first run's memory: after it, libraries and allocators keep some of what they took.
    before = memory(restorer.device, reset=True)
    _timed(restorer, picture)
    peak = memory(restorer.device, reset=False)
    _timed(restorer, picture)
    seconds = [_timed(restorer, picture) for _ in range(runs)]
    is_gpu = restorer.device.type == "cuda"
    return Cost(
        seconds=statistics.median(seconds),
        memory=None if before is None or peak is None else peak - before,
        estimate=way.memory,
        device=torch.cuda.get_device_name(restorer.device) if is_gpu else restorer.device.type,
        precision=str(restorer.dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        runs=runs,
    )


def _timed(restorer: Restorer, picture: torch.Tensor) -> float:
    settle(restorer.device)
    start = perf_counter()
    restorer(picture)
    settle(restorer.device)
    return perf_counter() - start


def memory(device: torch.device, *, reset: bool) -> int | None:
    """Bytes that this process holds now (and the peak starts anew), or held at the peak since.

    None where the system doesn't tell.
    """
    if device.type == "cuda":
        if reset:
            torch.cuda.reset_peak_memory_stats(device)
            return torch.cuda.memory_allocated(device)
        return torch.cuda.max_memory_allocated(device)
    if device.type != "cpu":
        return None
    try:
        if reset:
            RESET.write_text("5")  # the peak is what lies there now
        lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    except OSError:  # another system, or a /proc that is read-only
        return None
    line = lines.get("VmRSS" if reset else "VmHWM")  # not every kernel that says it is Linux
    return int(line.split()[0]) * 1024 if line else None
