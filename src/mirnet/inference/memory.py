"""How much memory a restoration needs, said before it starts."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.overrides import TorchFunctionMode

from mirnet.environment import control_groups
from mirnet.inference.padding import padded_size
from mirnet.models.network_config import NetworkConfig
from mirnet.models.networks import build

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

# PyTorch reads it at its first large allocation. With 2 MiB pages a photo takes about half the
# time on a Linux CPU: most of the rest is spent on page faults.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

RUNTIME = 48 << 20
"""Bytes that the convolution library takes when it first runs, for its kernels and its scratch."""

HEAP = 80 << 20
"""Bytes that the C library's heap keeps: it takes blocks of less than 32 MiB from there, and gives
back nothing below one that is still in use. Beyond ``RUNTIME``, up to 55 MiB were seen with the
small network; with the paper's 44 in float32, and 77 and 166 in bfloat16."""


def estimate_memory(
    config: NetworkConfig,
    height: int,
    width: int,
    *,
    batch: int = 1,
    dtype: torch.dtype = torch.float32,
) -> int:
    """Bytes that restoring ``batch`` images of this size takes at its peak, beyond the program."""
    padded_height, padded_width = padded_size(height, width, config.multiple)
    inputs = height * width * config.in_channels * torch.float32.itemsize
    features = padded_height * padded_width * bytes_per_pixel(config, dtype)
    return round(batch * (inputs + features)) + RUNTIME + HEAP


@lru_cache
def bytes_per_pixel(config: NetworkConfig, dtype: torch.dtype) -> float:
    """The network's peak for each pixel, from a run on a tiny picture.

    All large tensors grow with the picture, so a tiny one tells for all. (A run on the meta device
    would compute nothing, but loads PyTorch's compiler, which takes longer.)
    """
    size = 32
    # Its weights are drawn at random; the caller's random numbers stay as they are.
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        network = build(config).eval()
        with lowered("cpu", dtype), LiveBytes() as live:
            network(torch.zeros(1, config.in_channels, size, size))
    return float(live.peak) / size**2


def lowered(kind: str, dtype: torch.dtype) -> torch.autocast:
    """The context in which a network computes in this arithmetic on this kind of device."""
    return torch.autocast(kind, dtype, enabled=dtype != torch.float32)


def available_memory(device: torch.device) -> int:
    """Bytes that are free on a device now; on the CPU, within the limits of its containers."""
    if device.type == "cuda":
        # PyTorch keeps what it has freed, and uses it before it asks for more.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return min(_free_for_all(), address_space())


def shares_memory(device: torch.device) -> bool:
    """Whether a device takes the host's memory: the CPU does, and so do Apple's GPUs."""
    return device.type != "cuda"


def share_of_memory(parts: int) -> int:
    """The most that this process should take if so many of its kind share what is free now."""
    host = torch.device("cpu")
    return resident_memory(host) + min(_free_for_all() // parts, address_space())


def resident_memory(device: torch.device) -> int:
    """Bytes on a device that this process holds now."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    return int(psutil.Process().memory_info().rss)


class LiveBytes(TorchFunctionMode):
    """Counts the bytes of the tensors that are alive, and the most there were."""

    def __init__(self) -> None:
        """Begin with nothing alive."""
        super().__init__()
        self.peak: int = 0
        self._sizes: dict[int, tuple[int, weakref.ref[torch.UntypedStorage]]] = {}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operation and look at what it made."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            with torch._C.DisableTorchFunction():
                self._notice(result.untyped_storage())
        return result

    def _notice(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._sizes:
            # No Python runs when it goes: a signal's exception would be lost there.
            gone = weakref.ref(storage, partial(self._sizes.pop, key))
            self._sizes[key] = storage.nbytes(), gone
            self.peak = max(self.peak, sum(size for size, _ in self._sizes.values()))


def _container_memory() -> int:
    """Bytes left under the tightest control group's limit; a very large number without one."""
    return min(map(_left, _groups()), default=1 << 62)


def _free_for_all() -> int:
    """Bytes that the processes of this container have together."""
    return min(int(psutil.virtual_memory().available), _container_memory())


def address_space() -> int:
    """Bytes left under ``ulimit -v``; a very large number without one."""
    if resource is None:
        return 1 << 62
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most in (resource.RLIM_INFINITY, -1):
        return 1 << 62
    return max(most - int(psutil.Process().memory_info().vms), 0)


@dataclass(frozen=True, slots=True)
class _Group:
    """A control group: its folder, and what its files and its statistics are called."""

    folder: Path
    limits: tuple[str, ...]
    usage: str
    cached: tuple[str, ...]


def _groups() -> Iterator[_Group]:
    """This process's control groups and those around them."""
    first = (
        ("memory.limit_in_bytes",),
        "memory.usage_in_bytes",
        ("total_inactive_file", "total_active_file"),
    )
    second = (
        ("memory.max", "memory.high"),
        "memory.current",
        ("inactive_file", "active_file", "slab_reclaimable"),
    )
    for folder, edition in control_groups("memory"):
        yield _Group(folder, *(first if edition == 1 else second))


def _left(group: _Group) -> int:
    """Bytes left in a group.

    Files that the system has cached, read once or often, give way when they must. Above
    ``memory.high`` a process is slowed down to a standstill.
    """
    limits = [_number(group.folder / name) for name in group.limits]
    most = min((limit for limit in limits if limit is not None), default=None)
    used = _number(group.folder / group.usage)
    if most is None or used is None:
        return 1 << 62
    lines = []
    with suppress(OSError):
        lines = (group.folder / "memory.stat").read_text().splitlines()
    given_way = sum(int(line.split()[1]) for line in lines if line.split(" ")[0] in group.cached)
    return max(most - used + given_way, 0)


def _number(file: Path) -> int | None:
    """What a file says; None if it isn't there, or says "max"."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
