"""The training loop: reads as the algorithm."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from lightning_fabric import Fabric
from torch import Tensor

from mirnet.errors import NonFiniteError, RecipeError
from mirnet.inference.devices import choose_device
from mirnet.training.batches import open_data, training_batches
from mirnet.training.log import Clock, Interval, RunLog
from mirnet.training.objective import objective
from mirnet.training.precision import resolved
from mirnet.training.recipe import Recipe
from mirnet.training.schedule import lr_at, stage_at, total_steps
from mirnet.training.state import start_or_resume
from mirnet.training.stopping import StopRequest
from mirnet.training.validation import Validation

MOST_SKIPPED = 5
"""Steps in a row with a loss or gradient that is not finite, before the run is given up."""
MOST_DUMPED = 10
"""Batches of such steps that are kept."""


def train(recipe: Recipe, folder: Path) -> Path:
    """Train a network, or go on with the run in ``folder`` where its last state left it.

    A resumed run ends with the same weights as an uninterrupted one, bit by bit (on the CPU in
    float32 with the same number of threads). SIGINT and SIGTERM end it after the step, with its
    state saved.

    Args:
        recipe: the whole run.
        folder: gets ``model.safetensors`` (the newest), ``best.safetensors`` (best validation
            PSNR), ``state.safetensors`` (to resume from), ``recipe.json``, ``log.jsonl`` and
            ``tensorboard/``.

    Returns:
        The path of ``model.safetensors``.

    Raises:
        DataError: a folder of pairs is incomplete, or validation pictures are trained on.
        RecipeError: ``folder`` holds a run of another recipe, or another process trains into it.
        DeviceError: there is no such device, or it lacks the arithmetic.
        CheckpointError: the state can't be written; the last one is still there.
        NonFiniteError: several steps in a row gave a loss that is not a finite number.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RecipeError("several processes can't train together yet; start one, without torchrun")
    folder = folder.expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            return _train(recipe, folder)
    except Timeout as error:
        raise RecipeError(f"{folder}: another run trains into it; name another folder") from error


def _train(recipe: Recipe, folder: Path) -> Path:
    device = choose_device(recipe.device)
    recipe = resolved(recipe, device)
    data = open_data(recipe, folder)
    validation = Validation(recipe, folder, data.pairs())
    state = start_or_resume(recipe, folder, device, data.digest)
    precision = "bf16-mixed" if recipe.precision == "bfloat16" else "32-true"
    fabric = Fabric(accelerator=device.type, devices=1, precision=precision)  # type: ignore[arg-type]
    model, optimizer = fabric.setup(state.model, state.optimizer)
    steps = total_steps(recipe.schedule)
    batches = training_batches(recipe, data, state.step)
    interval, skipped = Interval(), 0
    with StopRequest() as stop, RunLog(folder, first_step=state.step, total_steps=steps) as log:
        clock = Clock()
        for batch in clock.waiting(batches):
            loss, norm = _step(fabric, model, optimizer, batch, recipe, state.step)
            skipped = 0 if norm is not None else skipped + 1
            if norm is None:
                _report_skipped(log, folder, batch, state.step, skipped)
            elif recipe.optim.ema is not None:
                state.update_average(recipe.optim.ema)
            state.step += 1
            interval.add(loss, norm)
            log.advance(state.step, loss)
            is_last = state.step == steps or stop.number is not None
            if state.step % recipe.log_every == 0 or is_last:
                stage = stage_at(recipe.schedule, state.step - 1)
                lr = lr_at(recipe.schedule, state.step - 1)
                rates = clock.rates(interval.steps, stage.batch_size)
                numbers = {**interval.numbers(), "lr": lr, "patch_size": stage.patch_size}
                log.write("train", state.step, numbers | rates)
                interval = Interval()
            is_validated = state.step % recipe.validation.every == 0 or state.step == steps
            with clock.stopped():
                if state.step % recipe.checkpoint_every == 0 or is_validated or is_last:
                    state.save(folder / "state.safetensors", recipe)
                if is_validated:
                    validation.run(state, log)
            if stop.number is not None:
                break
    return folder / "model.safetensors"


def _step(
    fabric: Fabric,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    recipe: Recipe,
    step: int,
) -> tuple[float, float | None]:
    """One step of Adam; the loss, and the gradient's norm or None if the step was not taken."""
    for group in optimizer.param_groups:
        group["lr"] = lr_at(recipe.schedule, step)
    parts = recipe.optim.accumulate
    loss = 0.0
    for views, target in zip(*(part.chunk(parts) for part in batch), strict=True):
        part_loss = objective(
            recipe.optim, model(fabric.to_device(views)), fabric.to_device(target)
        )
        fabric.backward(part_loss / parts)
        loss += part_loss.item() / parts
    limit = recipe.optim.clip_norm or float("inf")
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
    finite = norm < float("inf")
    if finite:
        optimizer.step()
    optimizer.zero_grad()
    return loss, norm if finite else None


def _report_skipped(
    log: RunLog, folder: Path, batch: tuple[Tensor, Tensor], step: int, skipped: int
) -> None:
    """Keep the batch that gave no finite gradient; give up after several in a row."""
    dump = folder / f"skipped-step-{step}.pt"
    if len(list(folder.glob("skipped-step-*.pt"))) < MOST_DUMPED:
        torch.save({"views": batch[0], "target": batch[1]}, dump)
    log.say(f"step {step}: loss or gradient not finite, step skipped; its batch is in {dump}")
    if skipped >= MOST_SKIPPED:
        raise NonFiniteError(
            f"{skipped} steps in a row gave no finite gradient; lower schedule.lr, set "
            "optim.clip_norm, or train in float32"
        )
