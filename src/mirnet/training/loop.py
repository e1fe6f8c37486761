"""The training loop: reads as the algorithm."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mirnet.checkpoints.store import save_model
from mirnet.errors import NonFiniteError
from mirnet.evaluation.evaluate import evaluate_folder
from mirnet.inference.restorer import Restorer
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.training.batches import training_batches
from mirnet.training.log import Clock, RunLog
from mirnet.training.objective import objective
from mirnet.training.recipe import Recipe
from mirnet.training.schedule import lr_at, stage_at, total_steps
from mirnet.training.state import TrainingState, start_or_resume

MOST_SKIPPED = 5
"""Steps in a row with a loss or gradient that is not finite, before the run is given up."""


def train(recipe: Recipe, folder: Path) -> Path:
    """Train a network, or go on with the run in ``folder`` where its last state left it.

    A resumed run ends with the same weights as an uninterrupted one, bit by bit (on the CPU in
    float32 with the same number of threads).

    Args:
        recipe: the whole run.
        folder: gets ``model.safetensors`` (the newest), ``best.safetensors`` (best validation
            PSNR), ``state.safetensors`` (to resume from), ``recipe.json``, ``log.jsonl`` and
            ``tensorboard/``.

    Returns:
        The path of ``model.safetensors``.

    Raises:
        DataError: a folder of pairs is incomplete.
        RecipeError: ``folder`` holds a run of another recipe.
        NonFiniteError: several steps in a row gave a loss that is not a finite number.
    """
    fabric = Fabric(accelerator=recipe.device, devices=1, precision=_precision(recipe))  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    state = start_or_resume(recipe, folder)
    model = fabric.to_device(state.model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # it is faster
    model, optimizer = fabric.setup(model, state.optimizer)
    batches = training_batches(recipe, folder, state.step)
    steps = total_steps(recipe.schedule)
    losses: list[float] = []
    skipped = 0
    with RunLog(folder, first_step=state.step, total_steps=steps) as log:
        clock = Clock()
        for batch in clock.waiting(batches):
            loss, norm = _step(fabric, model, optimizer, batch, recipe, state.step)
            skipped = 0 if norm is not None else skipped + 1
            if norm is None:
                _report_skipped(log, folder, batch, state.step, skipped)
            elif recipe.optim.ema is not None:
                state.update_average(recipe.optim.ema)
            state.step += 1
            losses.append(loss)
            log.advance(state.step, loss)
            if state.step % recipe.log_every == 0:
                stage = stage_at(recipe.schedule, state.step - 1)
                rates = clock.rates(len(losses), stage.batch_size)
                lr = lr_at(recipe.schedule, state.step - 1)
                numbers = {"loss": sum(losses) / len(losses), "gradient_norm": norm or 0.0}
                numbers |= {"lr": lr, "patch_size": stage.patch_size}
                log.write("train", state.step, numbers | rates)
                losses.clear()
            if state.step % recipe.validation.every == 0 or state.step == steps:
                _validate(recipe, folder, state, log)
            if state.step % recipe.checkpoint_every == 0 or state.step == steps:
                state.save(folder / "state.safetensors", recipe)
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


def _validate(recipe: Recipe, folder: Path, state: TrainingState, log: RunLog) -> None:
    """Score the weights (or their average), save them, and keep the best."""
    model = MIRNetV2(state.model.config)
    model.load_state_dict(state.average or state.model.state_dict())
    restorer = Restorer(model, device=recipe.device)
    scores = {
        str(path): evaluate_folder(restorer, path, recipe.validation.protocol).means()
        for path in recipe.validation.folders
    }
    for path, means in scores.items():
        log.write("validation", state.step, {"folder": path, **means})
        log.say(f"step {state.step}: {path}: PSNR {means['psnr']:.3f} dB, SSIM {means['ssim']:.4f}")
    provenance = {"recipe": recipe.to_dict(), "step": state.step, "validation": scores}
    save_model(model, folder / "model.safetensors", task=recipe.task, provenance=provenance)
    if scores:
        mean = sum(means["psnr"] for means in scores.values()) / len(scores)
        if state.best is None or mean > state.best:
            state.best = mean
            save_model(model, folder / "best.safetensors", task=recipe.task, provenance=provenance)


def _report_skipped(
    log: RunLog, folder: Path, batch: tuple[Tensor, Tensor], step: int, skipped: int
) -> None:
    """Keep the batch that gave no finite gradient; give up after several in a row."""
    dump = folder / f"skipped-step-{step}.pt"
    torch.save({"views": batch[0], "target": batch[1]}, dump)
    log.say(f"step {step}: loss or gradient not finite, step skipped; its batch is in {dump}")
    if skipped >= MOST_SKIPPED:
        raise NonFiniteError(
            f"{skipped} steps in a row gave no finite gradient; lower schedule.lr, set "
            "optim.clip_norm, or train in float32"
        )


def _precision(recipe: Recipe) -> str:
    return "bf16-mixed" if recipe.precision == "bfloat16" else "32-true"
