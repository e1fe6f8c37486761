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
from mirnet.training.log import RunLog
from mirnet.training.precision import resolved
from mirnet.training.recipe import Recipe
from mirnet.training.run import Run
from mirnet.training.schedule import total_steps
from mirnet.training.state import note_start, start_or_resume
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
    with (
        StopRequest() as stop,
        closing(batches),
        RunLog(folder, first_step=state.step, total_steps=steps, quiet=not team.is_first) as log,
    ):
        run = Run(
            recipe=recipe,
            folder=folder,
            fabric=fabric,
            team=team,
            state=state,
            model=model,
            optimizer=optimizer,
            validation=validation,
            log=log,
            stop=stop,
        )
        run.make_up()
        for batch in run.clock.waiting(batches):
            run.take(batch)
            run.tell()
            run.keep()
            if run.asked is not None:
                break
    return folder / "model.safetensors"
