"""How a picture goes through the memory there is: in one piece, or in tiles."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch

from mirnet.errors import InsufficientMemoryError
from mirnet.inference.backends.backend import Choice
from mirnet.inference.memory import (
    RUNTIME,
    LiveBytes,
    address_space,
    available_memory,
    estimate_memory,
    lowered,
    resident_memory,
    shares_memory,
)
from mirnet.inference.padding import padded_size
from mirnet.inference.streaming.canvas import Memory, scratch_folder
from mirnet.inference.streaming.stream import canvas_sizes, stream
from mirnet.models.config import MIRNetV2Config
from mirnet.models.network_config import NetworkConfig
from mirnet.models.networks import build
from mirnet.units import in_bytes

TILES = {
    "cpu": ((128, 512), (128, 256), (64, 128), (32, 64)),
    "gpu": ((1024, 1024), (512, 512), (256, 256), (128, 128)),
}
"""Heights and widths of tiles, the fastest first."""
HELD = 2.25
"""How much an allocator holds for each byte of a tile's features; seen at most, on Linux."""
PHOTO = 6
"""Bytes of a photo's own pixels, of 16 bits."""
Place = Literal["nowhere", "device", "host", "scratch"]

VARIES = 1.15
"""What a process holds by itself may be so much more the next time, when a limit is given anew."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One way for a picture to go through memory.

    Attributes:
        rests: where the features of the whole picture rest between two sweeps: nowhere, if it goes
            in one piece; in the device's memory; in the host's; or in a scratch file.
        tile: height and width of its tiles; None in one piece.
        memory: bytes on the device at the peak, beyond the program.
        host: bytes of the host's memory, if the device has memory of its own.
        scratch: bytes of the scratch file.
        choice: what computes it in one piece; PyTorch in the arithmetic asked for, unless told.
    """

    rests: Place
    tile: tuple[int, int] | None
    memory: int
    host: int = 0
    scratch: int = 0
    choice: Choice | None = None

    def __str__(self) -> str:
        """What is done, in words."""
        if self.tile is None:
            return f"in one piece ({in_bytes(self.memory)})"
        where = {
            "device": "in memory",
            "host": f"in {in_bytes(self.host)} of the host's memory",
            "scratch": f"in a scratch file of {in_bytes(self.scratch)} in {scratch_folder()}",
        }[self.rests]
        return (
            f"in tiles of {self.tile[1]}×{self.tile[0]} with the same result, features {where}; "
            f"{in_bytes(self.memory)} of memory"
        )


def fits(
    config: NetworkConfig,
    height: int,
    width: int,
    *,
    batch: int = 1,
    dtype: torch.dtype = torch.float32,
    wholes: Sequence[Fit] = (),
    device: torch.device,
    after: int = 0,
    are_here: bool = False,
) -> Iterator[Fit]:
    """The ways there are, the best first; a batch goes through tiles one image at a time.

    In one piece they are ``wholes``, or as PyTorch does it; ``after`` is what comes after the
    network in bytes a pixel, when its features are gone; images that ``are_here`` are in memory
    already, and are not counted. Without a disk there is no scratch file: in memory, it would take
    what it is meant to save.
    """
    in_one = estimate_memory(config, height, width, batch=batch, dtype=dtype)
    yield from wholes or [Fit("nowhere", None, in_one)]
    if not isinstance(config, MIRNetV2Config):
        return
    is_one_memory = shares_memory(device)
    values = 4 * batch * config.out_channels
    values += 0 if are_here else 4 * batch * config.in_channels + PHOTO
    images = height * width * values
    sizes = canvas_sizes(config, *padded_size(height, width, config.multiple)).values()
    resting = sum(rows * columns * channels for rows, columns, channels in sizes) * dtype.itemsize
    halo = 3 * config.multiple
    places: list[Place] = ["device"] if is_one_memory else ["device", "host"]
    if scratch_folder():
        places.append("scratch")
    for place in places:
        for tile in TILES["cpu" if device.type == "cpu" else "gpu"]:
            rows, columns = min(tile[0] + 2 * halo, height), min(tile[1] + 2 * halo, width)
            working = RUNTIME + round(HELD * rows * columns * tile_bytes_per_pixel(config, dtype))
            # Of a scratch file, what lies beside a row of tiles is in memory at one time.
            touched = min(rows + 2 * halo, height) / height * resting
            memory = working + {"device": resting, "host": 0, "scratch": 0}[place]
            host = images + {"device": 0, "host": resting, "scratch": round(touched)}[place]
            # What comes after the network lies beside the picture, when the features are gone.
            blend = after * batch * height * width
            memory, host = (
                (max(memory, blend) + host, 0)
                if is_one_memory
                else (memory, max(host, images + blend))
            )
            yield Fit(place, tile, memory, host, resting if place == "scratch" else 0)


def choose_fit(
    config: NetworkConfig,
    height: int,
    width: int,
    *,
    batch: int = 1,
    dtype: torch.dtype,
    wholes: Sequence[Fit] = (),
    device: torch.device,
    limit: int | None = None,
    after: int = 0,
    are_here: bool = False,
    where: str,
) -> list[Fit]:
    """The fastest way that fits, and those to fall back to.

    Args:
        config: of the network.
        height: of the picture.
        width: of the picture.
        batch: how many such pictures go at once.
        dtype: the arithmetic.
        wholes: the ways in one piece, the best first; as PyTorch does it, unless told.
        device: where it computes.
        limit: bytes that this process may take on the device; what is free, unless told.
        after: bytes a pixel that are needed after the network.
        are_here: whether the images are in memory already.
        where: what a message begins with.

    Raises:
        InsufficientMemoryError: there is none; the message says what the least would be.
    """
    free, held = available_memory(device), resident_memory(device)
    room = room_for(device, limit)
    on_host = available_memory(torch.device("cpu"))
    folder = scratch_folder()
    on_disk = shutil.disk_usage(folder).free if folder else 0
    ways = list(
        fits(
            config,
            height,
            width,
            batch=batch,
            dtype=dtype,
            wholes=wholes,
            device=device,
            after=after,
            are_here=are_here,
        )
    )
    on_disk = min(on_disk, address_space())  # into which the file is mapped
    fitting = [
        way for way in ways if way.memory <= room and way.host <= on_host and way.scratch <= on_disk
    ]
    if fitting:
        return fitting
    least = min(ways, key=lambda way: (way.memory, way.host))
    if limit is not None and limit - held <= free:
        needed = [f"{in_bytes(least.memory + held * VARIES)} of memory"]
        there = [f"{in_bytes(limit)} are allowed"]
    else:
        needed = [f"{in_bytes(least.memory)} of memory"]
        there = [f"{in_bytes(free)} are free"]
    if least.host:
        needed.append(f"{in_bytes(least.host)} of the host's")
        there.append(f"{in_bytes(on_host)} on the host")
    if least.scratch:
        needed.append(f"{in_bytes(least.scratch)} of scratch space")
        there.append(f"{in_bytes(on_disk)} in {folder}")
    disk = "" if folder else "set TMPDIR to a folder that lies on a disk, not in memory; "
    raise InsufficientMemoryError(
        f"{where}: {width}×{height} needs at least {' and '.join(needed)}; {' and '.join(there)}; "
        f"{disk}give it more, or take a smaller network or picture"
    )


def room_for(device: torch.device, limit: int | None) -> int:
    """Bytes that this process may still take on a device."""
    free = available_memory(device)
    return free if limit is None else min(free, limit - resident_memory(device))


@lru_cache
def tile_bytes_per_pixel(config: MIRNetV2Config, dtype: torch.dtype) -> float:
    """The peak of a sweep for each pixel it looks at, from a run on a tiny picture."""
    size = 32
    cpu = torch.device("cpu")
    image = torch.zeros(1, config.in_channels, size, size)
    sizes = canvas_sizes(config, size, size).values()
    resting = sum(rows * columns * channels for rows, columns, channels in sizes) * dtype.itemsize
    # Its weights are drawn at random; the caller's random numbers stay as they are.
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        network = build(config).eval()
        with lowered("cpu", dtype), LiveBytes() as live:
            stream(network, image, tile=(size, size), rest=Memory(dtype, cpu))  # type: ignore[arg-type]
    return float(live.peak - resting) / size**2
