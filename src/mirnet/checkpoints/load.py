"""Read any weights file that mirnet knows, by its content."""

from __future__ import annotations

from pathlib import Path

from mirnet.checkpoints.catalog import resolve
from mirnet.checkpoints.convert import read_released
from mirnet.checkpoints.hub_address import is_address
from mirnet.checkpoints.store import Checkpoint, read_checkpoint, require_readable
from mirnet.errors import CheckpointError
from mirnet.models.network import Network

PICKLE_SUFFIXES = (".pth", ".pt", ".ckpt")


def load_model(path: str | Path) -> Network:
    """The model of a weights file, in float32, in evaluation mode.

    Takes a safetensors file of mirnet, a released ``.pth`` file, whose layout is recognised, or an
    address on a hub (``hf://owner/name``). Raises CheckpointError that names the fault.
    """
    return load_checkpoint(resolve(path) if is_address(path) else Path(path)).build()


def load_checkpoint(path: Path) -> Checkpoint:
    """What a weights file holds, a safetensors file of mirnet or a released ``.pth`` file."""
    require_readable(path)
    if path.suffix in PICKLE_SUFFIXES:
        return read_released(path)
    if path.suffix != ".safetensors":
        raise CheckpointError(
            f"{path}: weights end in .safetensors, or {', '.join(PICKLE_SUFFIXES)} if released"
        )
    return read_checkpoint(path)
