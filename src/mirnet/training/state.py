"""The state of a run, from which it goes on exactly: weights, Adam's moments, average, step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mirnet.atomic import replacing
from mirnet.checkpoints.adapt import adapted
from mirnet.checkpoints.catalog import resolve
from mirnet.checkpoints.load import load_checkpoint
from mirnet.checkpoints.store import require_readable
from mirnet.environment import code_sha256, versions
from mirnet.errors import CheckpointError, RecipeError, one_line
from mirnet.models.network import Network
from mirnet.models.networks import build
from mirnet.training.recipe import Recipe, Stage
from mirnet.training.schedule import ema_at
from mirnet.training.team import Team

STATE = "state.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
FREE = (
    "checkpoint_every", "keep_every", "log_every", "device", "nodes", "compile", "recompute",
    "precision", "validation", "data.workers", "data.cache", "optim.pixels_at_once",
    "schedule.stages",
)  # fmt: skip
"""What may differ from the recipe that a run was started with: how it is done and reported. The
stages are compared by what has been done of them."""


@dataclass(slots=True)
class TrainingState:
    """What changes during a run.

    Attributes:
        model: the network, on the device that it is trained on.
        optimizer: Adam over its parameters, in the order of ``model.named_parameters()``.
        average: the moving average of the weights, by name; None if the recipe wants none.
        data: a digest of what is trained on.
        step: steps done.
        scaler: keeps the scale of gradients in float16.
    """

    model: Network
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor] | None
    data: str
    step: int = 0
    scaler: torch.amp.GradScaler | None = None

    def update_average(self, decay: float) -> None:
        """Move the average towards the weights, by what the step says: see `ema_at`."""
        if self.average is not None:
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - ema_at(decay, self.step))

    def save(self, path: Path, recipe: Recipe) -> None:
        """Write the state to ``path`` (safetensors), whole or not at all.

        Raises CheckpointError if it can't be written; the state that was there is then still there.
        """
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for moment in MOMENTS:
                value = self.optimizer.state.get(parameter, {}).get(moment)
                if value is not None:
                    tensors[f"{moment}.{name}"] = value
        tensors |= {f"average.{name}": value for name, value in (self.average or {}).items()}
        metadata = {
            "step": str(self.step),
            "data": self.data,
            "recipe": json.dumps(recipe.to_dict()),
            "scale": json.dumps(self.scaler.state_dict() if self.scaler else None),
        }
        try:
            with replacing(path) as temporary:
                save_file(
                    {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
                    temporary,
                    metadata,
                )
        except (SafetensorError, OSError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise CheckpointError(
                f"{path}: can't be written ({reason}); make room and run the same command again to "
                "go on from the last state"
            ) from error

    def load(self, path: Path, recipe: Recipe) -> None:
        """Take over the state in ``path``, in place.

        Raises:
            CheckpointError: the file is damaged, or can't be read.
            RecipeError: it belongs to another recipe or to other pictures; the message names the
                first difference.
        """
        require_readable(path)
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            stored, self.step = json.loads(metadata["recipe"]), int(metadata["step"])
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise CheckpointError(
                f"{path}: the state of the run is damaged ({error}); start it afresh elsewhere"
            ) from error
        _require_same(stored, recipe, self.step, path)
        if metadata.get("data", self.data) != self.data:
            raise RecipeError(
                f"{path}: the pictures of data.sources have changed since the run was started; "
                "bring them back, or train into a new folder"
            )
        if self.scaler is not None and (scale := json.loads(metadata.get("scale", "null"))):
            self.scaler.load_state_dict(scale)
        self.model.load_state_dict(_under("model.", tensors))
        for name, parameter in self.model.named_parameters():
            values = {m: tensors[f"{m}.{name}"] for m in MOMENTS if f"{m}.{name}" in tensors}
            if values:
                self.optimizer.state[parameter] = {
                    moment: value if moment == "step" else value.to(parameter.device)
                    for moment, value in values.items()
                }
        if self.average is not None:
            for name, value in _under("average.", tensors).items():
                self.average[name].copy_(value)


def start_or_resume(
    recipe: Recipe,
    folder: Path,
    device: torch.device,
    data: str,
    scaler: torch.amp.GradScaler | None = None,
) -> TrainingState:
    """The state of the run that ``folder`` holds, or of a new one.

    Everything is on ``device`` before it is copied or loaded, so that nothing stays behind.
    """
    torch.manual_seed(recipe.seed)
    model = build(recipe.model.config())
    if recipe.model.start_from is not None:
        start = load_checkpoint(resolve(Path(recipe.model.start_from).expanduser()))
        try:
            model.load_state_dict(adapted(start, model.config))
        except CheckpointError as error:
            raise RecipeError(f"model.start_from: {recipe.model.start_from}: {error}") from error
    model = model.to(device)
    if device.type != "mps":
        # It is faster; PyTorch's type hints miss this overload.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=recipe.schedule.lr, betas=recipe.optim.betas
    )
    average = None
    if recipe.optim.ema is not None:
        average = {name: value.clone() for name, value in model.state_dict().items()}
    state = TrainingState(model, optimizer, average, data, scaler=scaler)
    saved = folder / STATE
    if saved.exists():
        state.load(saved, recipe)
    return state


def note_start(recipe: Recipe, folder: Path, device: torch.device, step: int, team: Team) -> None:
    """Write down the recipe, resolved, and the surroundings of a start or of going on."""
    with replacing(folder / "recipe.json") as temporary:
        temporary.write_text(json.dumps(recipe.to_dict(), indent=2) + "\n", "utf-8")
    is_gpu = device.type == "cuda"
    start = {
        "step": step,
        "processes": team.size,
        "device": torch.cuda.get_device_name(device) if is_gpu else device.type,
        "threads": torch.get_num_threads(),
        "precision": recipe.precision,
        "code_sha256": code_sha256(),
        **versions(),
    }
    with (folder / "environment.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(start) + "\n")


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _require_same(stored: dict[str, Any], recipe: Recipe, step: int, path: Path) -> None:
    """A run goes on with the recipe that it was started with, but for what is `FREE`."""
    before, now = dict(_leaves(stored)), dict(_leaves(recipe.to_dict()))
    for key in [*before, *(key for key in now if key not in before)]:
        if not key.startswith(FREE) and before.get(key) != now.get(key):
            raise RecipeError(
                f"{path}: the run was started with another recipe ({key} was "
                f"{json.dumps(before.get(key))}, is {json.dumps(now.get(key))}); resume with that "
                "one, or train into a new folder"
            )
    stages = tuple(Stage(**stage) for stage in stored["schedule"]["stages"])
    was, is_now = _begun(stages, step), _begun(recipe.schedule.stages, step)
    if was != is_now:
        number = min(start for start, _ in was.items() ^ is_now.items())
        raise RecipeError(
            f"{path}: the run has done {step} steps, and schedule.stages differ in step "
            f"{number}; change what comes after, or train into a new folder"
        )


def _begun(stages: Sequence[Stage], step: int) -> dict[int, Stage]:
    """The stages of the first steps, but for their lengths, by the step that each begins at."""
    begun: dict[int, Stage] = {}
    start = 0
    for stage in stages:
        alike = replace(stage, steps=1)
        if start < step and (not begun or alike != next(reversed(begun.values()))):
            begun[start] = alike
        start += stage.steps
    return begun


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a plain recipe by dotted keys; paths in one spelling."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{key}.{number}")
    elif key.endswith((".path", ".start_from")) and value is not None:
        yield key, str(Path(value).expanduser().resolve())
    else:
        yield key, value
