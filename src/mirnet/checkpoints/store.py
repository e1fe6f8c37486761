"""Save and load a model as one safetensors file that also holds how to rebuild it."""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mirnet.atomic import replacing
from mirnet.errors import CheckpointError, ConfigError
from mirnet.models.network import Network
from mirnet.models.network_config import NetworkConfig
from mirnet.models.networks import build, config_from_dict, config_to_dict

METADATA_KEY = "mirnet"
"""The one entry of a file's metadata, a JSON object. safetensors writes several entries in an
order that changes from run to run; with one, equal models give equal files."""
FORMAT_VERSION = 1
STORED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The types that weights are read in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a weights file holds.

    Attributes:
        config: the network.
        weights: its tensors by name, as stored (float32, float16 or bfloat16).
        task: the name of the task that it was trained for, if known.
        provenance: where the weights come from: recipe, seed, step, scores, data. Free form.
    """

    config: NetworkConfig
    weights: dict[str, Tensor]
    task: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Network:
        """The model in float32, in evaluation mode."""
        model = build(self.config)
        check_weights(self.weights, model.state_dict(), "checkpoint")
        model.load_state_dict(self.weights)
        return model.eval()


def save_model(
    model: Network,
    path: str | Path,
    *,
    task: str | None = None,
    provenance: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write the model to ``path`` (safetensors), whole or not at all.

    Args:
        model: the network; its config travels in the file's metadata.
        path: the file; its folder must exist.
        task: the name of the task that it was trained for.
        provenance: JSON-able facts about the training.
        dtype: how the weights are stored.
    """
    weights = {name: value.detach().to("cpu", dtype) for name, value in model.state_dict().items()}
    checkpoint = Checkpoint(
        config=model.config, weights=weights, task=task, provenance=provenance or {}
    )
    write_checkpoint(checkpoint, Path(path))


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint to ``path`` (safetensors), whole or not at all."""
    description = {
        "format_version": FORMAT_VERSION,
        "task": checkpoint.task,
        "config": config_to_dict(checkpoint.config),
        "provenance": checkpoint.provenance,
    }
    weights = {name: value.contiguous() for name, value in checkpoint.weights.items()}
    if not path.parent.is_dir():
        raise CheckpointError(f"{path}: there is no folder {path.parent}; make it first")
    try:
        with replacing(path) as temporary:
            save_file(weights, temporary, {METADATA_KEY: json.dumps(description)})
    except SafetensorError as error:
        raise CheckpointError(
            f"{path}: can't be written ({' '.join(str(error).split())}); make room"
        ) from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a safetensors checkpoint and check that its weights fit its config.

    Raises:
        CheckpointError: the file is missing, can't be read, is damaged, of another program or a
            newer version, or its weights are not those of its config; the message names the fault.
    """
    require_readable(path)
    try:
        with safe_open(path, framework="pt") as file:
            description = _description(file.metadata() or {}, path)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a whole safetensors file ({error}); copy or download it again"
        ) from error
    checkpoint = Checkpoint(
        config=_config(description, path),
        weights=weights,
        task=description.get("task"),
        provenance=description.get("provenance") or {},
    )
    blocks = checkpoint.config.depth
    if blocks > len(weights):
        raise CheckpointError(
            f"{path}: its config has {blocks} blocks, and the file holds {len(weights)} tensors"
        )
    with torch.device("meta"):
        expected = build(checkpoint.config).state_dict()
    check_weights(weights, expected, str(path))
    return checkpoint


def require_readable(path: Path) -> None:
    """Raise CheckpointError if there is no such file, or the system gives none of it.

    safetensors says of a file that must not be read that there is none.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such weights file")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise CheckpointError(
            f"{path}: can't be read ({error.strerror}); get the right to read it, or name a copy"
        ) from error


def check_weights(weights: dict[str, Tensor], expected: dict[str, Tensor], where: str) -> None:
    """Refuse weights that are not exactly those expected, naming what is missing or wrong."""
    missing = [name for name in expected if name not in weights]
    extra = [name for name in weights if name not in expected]
    if missing:
        raise CheckpointError(f"{where}: {_listed(missing)} missing")
    if extra:
        raise CheckpointError(f"{where}: {_listed(extra)} not part of this network")
    for name, value in expected.items():
        found, shape = weights[name], tuple(value.shape)
        if tuple(found.shape) != shape:
            raise CheckpointError(
                f"{where}: {name} has shape {tuple(found.shape)}, the network needs {shape}"
            )
        if found.dtype not in STORED:
            raise CheckpointError(
                f"{where}: {name} holds {found.dtype}, not floating point of 16, 32 or 64 bits"
            )
        if not bool(torch.isfinite(found).all()):
            raise CheckpointError(f"{where}: {name} holds values that are not finite numbers")


def _description(metadata: dict[str, str], path: Path) -> dict[str, Any]:
    """What the file says about its model, of a version that we read."""
    if METADATA_KEY not in metadata:
        raise CheckpointError(
            f"{path}: holds no mirnet config in its metadata; if it has the released key layout, "
            "run `mirnet convert` on it"
        )
    try:
        description = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its description in the metadata is not JSON") from error
    if not isinstance(description, dict):
        raise CheckpointError(f"{path}: its description in the metadata is not a JSON object")
    for name, kind in (("task", str), ("provenance", dict)):
        if not isinstance(description.get(name), kind | None):
            raise CheckpointError(f"{path}: its {name} is not a {kind.__name__}")
    version = description.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        shown = reprlib.repr(version)
        raise CheckpointError(f"{path}: its format_version is {shown}, not a number from 1 on")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: has format version {version}, this mirnet reads up to {FORMAT_VERSION}; "
            "upgrade with `pip install -U mirnet`"
        )
    return description


def _config(description: dict[str, Any], path: Path) -> NetworkConfig:
    values = description.get("config")
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: its config is {reprlib.repr(values)}, not a JSON object")
    try:
        return config_from_dict(values)
    except ConfigError as error:
        raise CheckpointError(f"{path}: its config is not valid: {error}") from error


def _listed(names: list[str], most: int = 3) -> str:
    shown = ", ".join(name if name.isprintable() else ascii(name) for name in names[:most])
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{shown}{rest} {'is' if len(names) == 1 else 'are'}"
