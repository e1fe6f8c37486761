"""How much memory a restoration needs, said before it starts."""

from __future__ import annotations

import os

import psutil
import torch

from mirnet.errors import InsufficientMemoryError
from mirnet.inference.padding import padded_size
from mirnet.models.config import MIRNetV2Config

# PyTorch reads it at its first large allocation. With 2 MiB pages a photo takes about half the
# time on a Linux CPU: most of the rest is spent on page faults.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def estimate_memory(
    config: MIRNetV2Config, height: int, width: int, *, batch: int = 1, dtype: torch.dtype
) -> int:
    """Bytes that restoring ``batch`` images of this size takes at its peak, beyond the program."""
    padded_height, padded_width = padded_size(height, width, config.multiple)
    pixels = batch * padded_height * padded_width
    return int(pixels * config.width * 8 * dtype.itemsize)


def available_memory(device: torch.device) -> int:
    """Bytes that are free on a device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def require_memory(
    config: MIRNetV2Config,
    height: int,
    width: int,
    *,
    batch: int,
    dtype: torch.dtype,
    device: torch.device,
    where: str,
) -> None:
    """Raise InsufficientMemoryError if such images will not fit, with what to do instead."""
    needed = estimate_memory(config, height, width, batch=batch, dtype=dtype)
    free = available_memory(device)
    if needed > free:
        raise InsufficientMemoryError(
            f"{where}: {width}×{height} needs about {needed / 2**30:.1f} GiB of memory, "
            f"{free / 2**30:.1f} GiB are free; restore a smaller picture or use a smaller network"
        )
