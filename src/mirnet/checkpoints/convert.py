"""Released MIRNet-v2 files: their key layout, and our names for the same tensors."""

from __future__ import annotations

import io
import logging
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirnet.atomic import replacing
from mirnet.checkpoints.store import Checkpoint, check_weights
from mirnet.errors import CheckpointError, ConfigError, UnsafeCheckpointError
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2

logger = logging.getLogger("mirnet")

CONTAINERS = ("params", "params_ema")
"""Where a released file has its weights; the first that is there is taken."""

HELD: dict[str, Any] = {
    "streams": 3,
    "block": "rcb",
    "fusion": "skff",
    "skip_connections": True,
    "intermediate_fusion": True,
    "final_fusion": True,
}
"""What the layout has no keys for: it holds networks of this form alone."""

_STREAMS = ("top", "mid", "bot")
_BLOCK_RULES = (
    (r"rcb\.(\d)\.conv1", r"dau_{stream}.body.0"),
    (r"rcb\.(\d)\.conv2", r"dau_{stream}.body.2"),
    (r"rcb\.(\d)\.context\.mask", r"dau_{stream}.gcnet.conv_mask"),
    (r"rcb\.(\d)\.context\.transform\.(\d)", r"dau_{stream}.gcnet.channel_add_conv.{1}"),
    (r"fusion\.(\d)\.squeeze", r"skff_{stream}.conv_du.0"),
    (r"fusion\.(\d)\.select\.(\d)", r"skff_{stream}.fcs.{1}"),
    (r"down\.0\.(\d)\.1", r"down2.body.0.bot.1"),
    (r"down\.1\.(\d)\.1", r"down4.{0}.body.0.bot.1"),
    (r"up\.(\d)\.0\.conv", r"up21_{next}.body.0.bot.0"),
    (r"up\.(\d)\.1\.conv", r"up32_{next}.body.0.bot.0"),
    (r"conv_out", r"conv_out"),
)
"""Our names inside a multi-scale residual block, and the released ones: {stream} is the first
number as a stream's name, {next} one more than it, {0} and {1} the numbers themselves."""


def read_released(path: Path) -> Checkpoint:
    """Read a released checkpoint: a torch pickle with the weights under ``params``.

    ``params_ema`` and keys that begin with ``module.`` are taken too. Nothing in the file is run.

    Raises:
        UnsafeCheckpointError: the pickle holds code.
        CheckpointError: it is damaged, or its keys or shapes are not MIRNet-v2's.
    """
    weights = _weights(_unpickle(path), path)
    released = {name.removeprefix("module."): value for name, value in weights.items()}
    config = _config_of(released, path)
    with torch.device("meta"):
        model = MIRNetV2(config)
    ours = released_names(model)
    expected = {ours[name]: value for name, value in model.state_dict().items()}
    check_weights(released, expected, str(path))
    return Checkpoint(
        config=config,
        weights={name: released[other] for name, other in ours.items()},
        provenance={"converted_from": path.name},
    )


def write_released(checkpoint: Checkpoint, path: Path) -> None:
    """Write a torch file that programs for the released checkpoints read.

    The weights stand under ``params``, as they are. The layout has no place for anything else: the
    task and the provenance are lost, and of the config remains what keys and shapes say.

    Raises:
        CheckpointError: the layout can't hold this network.
        OSError: the file can't be written.
    """
    config = checkpoint.config
    if not isinstance(config, MIRNetV2Config):
        raise CheckpointError(f"{path}: the released layout is MIRNet-v2's, not {config.NETWORK}'s")
    given = config.to_dict()
    _require_held(path, given, HELD)
    with torch.device("meta"):
        model = MIRNetV2(config)
    weights = {theirs: checkpoint.weights[ours] for ours, theirs in released_names(model).items()}
    _require_held(path, given, _config_of(weights, path).to_dict())
    content = io.BytesIO()  # of a full disk, torch's own writer tells nothing that one could act on
    torch.save({CONTAINERS[0]: weights}, content)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())


def _require_held(path: Path, given: dict[str, Any], held: dict[str, Any]) -> None:
    for name, value in held.items():
        if given[name] != value:
            raise CheckpointError(
                f"{path}: the released layout can't hold {name} = {given[name]!r}, but {value!r}"
            )


def released_names(model: MIRNetV2) -> dict[str, str]:
    """The released name of each of a model's tensors, by our name.

    It is defined for networks of the released form: three streams, RCBs, SKFF.
    """
    return {name: _released_name(name, model.config.blocks) for name in model.state_dict()}


def block_name(name: str) -> str:
    """The released name of a tensor inside a multi-scale residual block."""
    stem = name.removesuffix(".weight")
    for pattern, template in _BLOCK_RULES:
        match = re.fullmatch(pattern, stem)
        if match:
            numbers = [int(group) for group in match.groups()]
            first = numbers[0] if numbers else 0
            released = template.format(*numbers, stream=_STREAMS[first], next=first + 1)
            return f"{released}.weight"
    raise CheckpointError(f"{name}: has no counterpart in the released layout")


def _released_name(name: str, blocks: int) -> str:
    if block := re.fullmatch(r"groups\.(\d+)\.blocks\.(\d+)\.(.+)", name):
        return f"body.{block[1]}.body.{block[2]}.{block_name(block[3])}"
    return re.sub(r"groups\.(\d+)\.conv\.", rf"body.\1.body.{blocks}.", name)


def _unpickle(path: Path) -> Any:
    """What a torch file holds; only tensors and plain containers are allowed in it."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # A call in the pickle makes torch name `safe_globals`; what is no pickle at all does not.
        if "safe_globals" not in str(error) and not zipfile.is_zipfile(path):
            raise CheckpointError(f"{path}: not a torch checkpoint, or a truncated one") from error
        raise UnsafeCheckpointError(
            f"{path}: is a pickle with more than tensors in it, which could run code; ask its "
            "author for a safetensors file"
        ) from error
    except Exception as error:  # a damaged pickle can raise anything
        logger.debug("%s", path, exc_info=True)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: a truncated or damaged torch checkpoint ({reason}); download it again"
        ) from error


def _weights(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a dict of weights")
    container = next((name for name in CONTAINERS if name in content), None)
    if container is None:
        found = ", ".join(sorted(map(str, content))[:3]) or "nothing"
        raise CheckpointError(
            f"{path}: has no {' or '.join(CONTAINERS)} that holds the weights; it has {found}"
        )
    weights = content[container]
    if not isinstance(weights, dict) or not weights:
        raise CheckpointError(f"{path}: its {container} is not a dict of tensors")
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or not _is_plain(value):
            raise CheckpointError(f"{path}: {name!a} in its {container} is not a plain tensor")
    return weights


def _is_plain(value: Tensor) -> bool:
    """Whether all of its numbers lie in the file: a stride of 0 could claim any number of them."""
    if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _config_of(weights: dict[str, Tensor], path: Path) -> MIRNetV2Config:
    """The config that these keys and shapes say."""
    groups = _count(weights, r"body\.(\d+)\..*")
    blocks = _count(weights, r"body\.0\.body\.(\d+)\.conv_out\.weight")
    columns = _count(weights, r"body\.0\.body\.0\.up21_(\d+)\..*")
    first = _shape(weights, "conv_in.weight", path)
    last = _shape(weights, "conv_out.weight", path)
    per_group = [
        _shape(weights, f"body.{i}.body.0.dau_top.body.0.weight", path)[1] for i in range(groups)
    ]
    try:
        return MIRNetV2Config(
            in_channels=first[1],
            out_channels=last[0],
            width=first[0],
            columns=columns,
            groups=tuple(first[0] // max(inputs, 1) for inputs in per_group),
            blocks=blocks,
            residual="image" if first[1] == last[0] else "features",
        )
    except ConfigError as error:
        raise CheckpointError(f"{path}: its keys are not those of MIRNet-v2: {error}") from error


def _count(weights: dict[str, Tensor], pattern: str) -> int:
    """How many different numbers stand in the names that match."""
    return len({match[1] for name in weights if (match := re.fullmatch(pattern, name))})


def _shape(weights: dict[str, Tensor], name: str, path: Path) -> tuple[int, ...]:
    if name not in weights:
        raise CheckpointError(f"{path}: {name} is missing; it is not a MIRNet-v2 checkpoint")
    shape = tuple(weights[name].shape)
    if len(shape) != 4:
        raise CheckpointError(f"{path}: {name} has shape {shape}, not that of a convolution")
    return shape
