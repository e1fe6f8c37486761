"""The state of a run, from which it goes on exactly: weights, Adam's moments, average, step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mirnet.atomic import replacing
from mirnet.checkpoints.store import read_checkpoint
from mirnet.errors import CheckpointError, RecipeError
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.training.recipe import Recipe

MOMENTS = ("exp_avg", "exp_avg_sq", "step")


@dataclass(slots=True)
class TrainingState:
    """What changes during a run.

    Attributes:
        model: the network.
        optimizer: Adam over its parameters, in the order of ``model.named_parameters()``.
        average: the moving average of the weights, by name; None if the recipe wants none.
        step: steps done.
        best: the best validation PSNR so far, in dB.
    """

    model: MIRNetV2
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor] | None
    step: int = 0
    best: float | None = None

    def update_average(self, decay: float) -> None:
        """Move the average towards the weights by ``1 - decay``."""
        if self.average is not None:
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)

    def save(self, path: Path, recipe: Recipe) -> None:
        """Write the state to ``path`` (safetensors), whole or not at all."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for moment in MOMENTS:
                value = self.optimizer.state.get(parameter, {}).get(moment)
                if value is not None:
                    tensors[f"{moment}.{name}"] = value
        tensors |= {f"average.{name}": value for name, value in (self.average or {}).items()}
        metadata = {
            "step": str(self.step),
            "best": json.dumps(self.best),
            "recipe": json.dumps(recipe.to_dict()),
        }
        with replacing(path) as temporary:
            save_file(
                {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
                temporary,
                metadata,
            )

    def load(self, path: Path, recipe: Recipe) -> None:
        """Take over the state in ``path``, in place.

        Raises:
            CheckpointError: the file is damaged.
            RecipeError: it belongs to another recipe; the message names the first difference.
        """
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"{path}: the state of the run is damaged ({error}); start it afresh elsewhere"
            ) from error
        _require_same(json.loads(metadata["recipe"]), recipe.to_dict(), path)
        self.step = int(metadata["step"])
        self.best = json.loads(metadata["best"])
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


def start_or_resume(recipe: Recipe, folder: Path) -> TrainingState:
    """The state of the run that ``folder`` holds, or of a new one, whose recipe it then notes."""
    torch.manual_seed(recipe.seed)
    model = MIRNetV2(recipe.model.config())
    if recipe.model.start_from is not None:
        start = read_checkpoint(recipe.model.start_from)
        if start.config != model.config:
            raise RecipeError(f"model.start_from: {recipe.model.start_from} is another network")
        model.load_state_dict(start.weights)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=recipe.schedule.lr, betas=recipe.optim.betas
    )
    average = None
    if recipe.optim.ema is not None:
        average = {name: value.clone() for name, value in model.state_dict().items()}
    state = TrainingState(model, optimizer, average)
    saved = folder / "state.safetensors"
    if saved.exists():
        state.load(saved, recipe)
    else:
        with replacing(folder / "recipe.json") as temporary:
            temporary.write_text(json.dumps(recipe.to_dict(), indent=2) + "\n", "utf-8")
    return state


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _require_same(stored: dict[str, Any], given: dict[str, Any], path: Path) -> None:
    """A run goes on with the recipe that it was started with, but for how often it reports."""
    free = {"checkpoint_every", "log_every", "device", "validation"}
    for key, value in given.items():
        if key not in free and stored.get(key) != value:
            raise RecipeError(
                f"{path}: the run was started with another recipe ({key} was "
                f"{json.dumps(stored.get(key))}); resume with that one, or train into a new folder"
            )
