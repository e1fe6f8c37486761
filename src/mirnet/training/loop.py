"""The training loop: reads as the algorithm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from lightning_fabric import Fabric

from mirnet.atomic import new_folder
from mirnet.errors import RecipeError
from mirnet.inference.devices import choose_device
from mirnet.training.batches import TrainingData, open_data, training_batches
from mirnet.training.engine import compiled, make_fabric, processes
from mirnet.training.log import Clock, Interval, RunLog
from mirnet.training.precision import resolved
from mirnet.training.recipe import Recipe
from mirnet.training.report import write_report
from mirnet.training.schedule import lr_at, stage_at, total_steps
from mirnet.training.state import STATE, note_start, start_or_resume
from mirnet.training.step import report_skipped, take_step
from mirnet.training.stopping import StopRequest
from mirnet.training.team import Team
from mirnet.training.validation import Validation


def train(recipe: Recipe, folder: Path) -> Path:
    """Train a network, or go on with the run in ``folder`` where its last state left it.

    Several processes share each step's batch: those that the recipe asks for, or that torchrun has
    started. The first of them writes. A resumed run ends with the same weights as an uninterrupted
    one, bit by bit (on the CPU in float32 with the same number of threads). SIGINT and SIGTERM end
    it after the step, with its state saved.

    Args:
        recipe: the whole run.
        folder: gets ``model.safetensors`` (the newest), ``best.safetensors`` (best validation
            PSNR), ``state.safetensors`` (to resume from), ``recipe.json``, ``log.jsonl`` and
            ``tensorboard/``, ``samples/`` and ``report.md``. Of several machines, the first writes;
            each needs a folder of that name to pack its data into.

    Returns:
        The path of ``model.safetensors``.

    Raises:
        DataError: a folder of pairs is incomplete, or validation pictures are trained on.
        RecipeError: ``folder`` holds a run of another recipe, or another process trains into it.
        DeviceError: there is no such device, or it lacks the arithmetic.
        CheckpointError: the state can't be written; the last one is still there.
        LostProcessError: another process of the run has ended.
        NonFiniteError: several steps in a row gave a loss that is not a finite number.
    """
    folder = folder.expanduser()
    device = choose_device(recipe.device)
    recipe = resolved(recipe, device)
    fabric = make_fabric(recipe, device)
    # What is wrong with the data is told before there are others to tell it too.
    with new_folder(folder):
        data = open_data(recipe, folder, processes=math.prod(processes(recipe)))
        validation = Validation(recipe, folder, data)
    fabric.launch()
    team = Team(fabric)
    try:
        with _locked(folder, team):
            return _train(recipe, folder, fabric, team, data, validation)
    except BaseException:
        team.dismiss()
        raise


@contextmanager
def _locked(folder: Path, team: Team) -> Iterator[None]:
    """One run at a time trains into a folder."""
    lock = FileLock(folder / "lock", timeout=0)
    taken = None
    if team.is_first:
        try:
            lock.acquire()
        except Timeout:
            taken = f"{folder}: another run trains into it; name another folder"
    try:
        if taken := team.gather(taken)[0]:
            raise RecipeError(taken)
        yield
    finally:
        lock.release()


def _train(
    recipe: Recipe,
    folder: Path,
    fabric: Fabric,
    team: Team,
    data: TrainingData,
    validation: Validation,
) -> Path:
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    state = start_or_resume(recipe, folder, fabric.device, data.digest, scaler)
    if team.is_first:
        note_start(recipe, folder, fabric.device, state.step, team)
    model, optimizer = fabric.setup(compiled(state.model, recipe), state.optimizer)
    steps = total_steps(recipe.schedule)
    batches = training_batches(recipe, data, state.step, rank=team.rank, processes=team.size)
    interval, skipped = Interval(), 0
    with (
        StopRequest() as stop,
        closing(batches),
        RunLog(folder, first_step=state.step, total_steps=steps, quiet=not team.is_first) as log,
    ):
        clock = Clock()
        if validation.was_missed(state.step, team):  # by a run that was killed in it
            with clock.stopped():
                validation.run(state, log, team)
        for batch in clock.waiting(batches):
            with team.watching():
                loss, norm = take_step(fabric, model, optimizer, batch, recipe, state.step)
            loss, asked = team.share(loss, stop.number)
            if asked is not None:  # one that comes meanwhile must not be lost
                stop.number = asked
            skipped = 0 if norm is not None else skipped + 1
            if norm is None:
                report_skipped(log, folder, batch, state, skipped, team)
            elif recipe.optim.ema is not None:
                state.update_average(recipe.optim.ema)
            state.step += 1
            interval.add(loss, norm)
            log.advance(state.step, loss)
            is_last = state.step == steps or asked is not None
            if state.step % recipe.log_every == 0 or is_last:
                stage = stage_at(recipe.schedule, state.step - 1)
                lr = lr_at(recipe.schedule, state.step - 1)
                rates = clock.rates(interval.steps, stage.batch_size)
                numbers = {**interval.numbers(), "lr": lr, "patch_size": stage.patch_size}
                log.write("train", state.step, numbers | rates)
                log.say_if_waiting(rates["data_wait_share"])
                interval = Interval()
            is_validated = state.step % recipe.validation.every == 0 or state.step == steps
            with clock.stopped():
                is_due = state.step % recipe.checkpoint_every == 0 or is_validated or is_last
                if is_due and team.is_first:
                    state.save(folder / STATE, recipe)
                if is_validated:
                    validation.run(state, log, team)
                if team.is_first and (is_validated or is_last):
                    _tell(folder, log)
            if asked is not None:
                break
    return folder / "model.safetensors"


def _tell(folder: Path, log: RunLog) -> None:
    """Write the report; a run doesn't end for want of one."""
    try:
        write_report(folder)
    except OSError as error:
        log.say(f"{folder / 'report.md'}: can't be written ({error.strerror or error})")
