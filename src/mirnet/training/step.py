"""One step of training, and what is done where it gives no finite gradient."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor

from mirnet.errors import InsufficientMemoryError, NonFiniteError
from mirnet.training.log import RunLog
from mirnet.training.objective import objective
from mirnet.training.recipe import Recipe
from mirnet.training.schedule import lr_at, parts_of, stage_at
from mirnet.training.state import TrainingState
from mirnet.training.team import Team

MOST_SKIPPED = 5
"""Steps in a row with a loss or gradient that is not finite, before the run is given up."""
MOST_RESCALED = 24
"""The same in float16, where the scale of the gradient is halved each time, from 65,536."""
MOST_DUMPED = 10
"""Batches of such steps that are kept."""


def take_step(
    fabric: Fabric,
    model: _FabricModule,
    optimizer: _FabricOptimizer,
    batch: tuple[Tensor, Tensor],
    recipe: Recipe,
    step: int,
) -> tuple[float, float | None]:
    """One step of Adam; the loss, and the gradient's norm or None if the step was not taken."""
    for group in optimizer.param_groups:
        group["lr"] = lr_at(recipe.schedule, step)
    stage = stage_at(recipe.schedule, step)
    parts = parts_of(stage, fabric.world_size, recipe.optim.pixels_at_once)
    try:
        loss = _backward(fabric, model, batch, recipe, parts)
    except torch.OutOfMemoryError as error:
        raise InsufficientMemoryError(
            f"step {step}: {stage.batch_size} patches of {stage.patch_size} pixels in {parts} "
            "parts don't fit in the device's memory; `mirnet train … --plan` says which "
            "--optim.pixels-at-once does"
        ) from error
    limit = recipe.optim.clip_norm or float("inf")
    clipped = fabric.clip_gradients(model, optimizer, max_norm=limit, error_if_nonfinite=False)
    norm = float(torch.as_tensor(clipped))
    is_finite = norm < float("inf")
    if is_finite or recipe.precision == "float16":  # there, the step looks itself, and rescales
        optimizer.step()
    optimizer.zero_grad()
    return loss, norm if is_finite else None


def _backward(
    fabric: Fabric,
    model: _FabricModule,
    batch: tuple[Tensor, Tensor],
    recipe: Recipe,
    parts: int,
) -> float:
    """The loss; its gradients add up over the parts of the batch."""
    loss = 0.0
    for number, (views, target) in enumerate(
        zip(*(each.chunk(parts) for each in batch), strict=True)
    ):
        is_waiting = fabric.world_size > 1 and number < parts - 1
        with fabric.no_backward_sync(model, enabled=is_waiting):
            output = model(fabric.to_device(views))
            part_loss = objective(recipe.optim, output, fabric.to_device(target))
            fabric.backward(part_loss / parts)
        loss += part_loss.item() / parts
    return loss


def report_skipped(
    log: RunLog,
    folder: Path,
    batch: tuple[Tensor, Tensor],
    state: TrainingState,
    skipped: int,
    team: Team,
) -> None:
    """Keep the batch that gave no finite gradient; give up after several in a row."""
    if state.scaler is None:
        everyone = team.gather(batch)
        dump = folder / f"skipped-step-{state.step}.pt"
        if team.is_first and len(list(folder.glob("skipped-step-*.pt"))) < MOST_DUMPED:
            views, target = (torch.cat(parts) for parts in zip(*everyone, strict=True))
            torch.save({"views": views, "target": target}, dump)
        log.say(f"step {state.step}: loss or gradient not finite, step skipped; its batch: {dump}")
    if skipped >= (MOST_SKIPPED if state.scaler is None else MOST_RESCALED):
        raise NonFiniteError(
            f"{skipped} steps in a row gave no finite gradient; lower schedule.lr, set "
            "optim.clip_norm, or train in float32"
        )
