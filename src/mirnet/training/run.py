"""A run that goes on: a step is taken, told, and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor

from mirnet.training.log import Clock, Interval, RunLog
from mirnet.training.recipe import Recipe
from mirnet.training.report import write_report
from mirnet.training.schedule import lr_at, stage_at, total_steps
from mirnet.training.state import STATE, TrainingState
from mirnet.training.step import report_skipped, take_step
from mirnet.training.stopping import StopRequest
from mirnet.training.team import Team
from mirnet.training.validation import Validation


@dataclass(kw_only=True)
class Run:
    """What the steps of a run share, and how far it has come.

    Attributes:
        recipe: the whole run.
        folder: where it is kept.
        fabric: devices and processes.
        team: those who share each batch.
        state: weights, optimiser, step and average.
        model: the network as the fabric wraps it.
        optimizer: the same of Adam.
        validation: what scores it.
        log: where it is told.
        stop: whether somebody asked this process to end.
        clock: how long steps take.
        asked: the signal by which anybody of the team was asked to end.
    """

    recipe: Recipe
    folder: Path
    fabric: Fabric
    team: Team
    state: TrainingState
    model: _FabricModule
    optimizer: _FabricOptimizer
    validation: Validation
    log: RunLog
    stop: StopRequest
    clock: Clock = field(default_factory=Clock)
    asked: int | None = None
    _interval: Interval = field(default_factory=Interval)
    _skipped: int = 0

    @property
    def is_last(self) -> bool:
        """Whether no step follows."""
        return self._is_done or self.asked is not None

    @property
    def _is_done(self) -> bool:
        return self.state.step == total_steps(self.recipe.schedule)

    def make_up(self) -> None:
        """Validate what a run that was killed in its validation left unscored."""
        if self.validation.was_missed(self.state.step, self.team):
            with self.clock.stopped():
                self.validation.run(self.state, self.log, self.team)

    def take(self, batch: tuple[Tensor, Tensor]) -> None:
        """One step: the weights, and their average."""
        state, team = self.state, self.team
        with team.watching():
            loss, norm = take_step(
                self.fabric, self.model, self.optimizer, batch, self.recipe, state.step
            )
        loss, self.asked = team.share(loss, self.stop.number)
        if self.asked is not None:  # one that comes meanwhile must not be lost
            self.stop.number = self.asked
        self._skipped = 0 if norm is not None else self._skipped + 1
        if norm is None:
            report_skipped(self.log, self.folder, batch, state, self._skipped, team)
        elif self.recipe.optim.ema is not None:
            state.update_average(self.recipe.optim.ema)
        state.step += 1
        self._interval.add(loss, norm)
        self.log.advance(state.step, loss)

    def tell(self) -> None:
        """A line of the log, where one is due."""
        step = self.state.step
        if step % self.recipe.log_every and not self.is_last:
            return
        stage = stage_at(self.recipe.schedule, step - 1)
        lr = lr_at(self.recipe.schedule, step - 1)
        rates = self.clock.rates(self._interval.steps, stage.batch_size)
        numbers = {**self._interval.numbers(), "lr": lr, "patch_size": stage.patch_size}
        self.log.write("train", step, numbers | rates)
        self.log.say_if_waiting(rates["data_wait_share"])
        self._interval = Interval()

    def keep(self) -> None:
        """The state, the scored weights and the report, where they are due."""
        step = self.state.step
        is_validated = step % self.recipe.validation.every == 0 or self._is_done
        is_due = step % self.recipe.checkpoint_every == 0 or is_validated or self.is_last
        with self.clock.stopped():
            if is_due and self.team.is_first:
                self.state.save(self.folder / STATE, self.recipe)
            if is_validated:
                self.validation.run(self.state, self.log, self.team)
            if self.team.is_first and (is_validated or self.is_last):
                self._report()

    def _report(self) -> None:
        """Write the report; a run doesn't end for want of one."""
        try:
            write_report(self.folder)
        except OSError as error:
            path = self.folder / "report.md"
            self.log.say(f"{path}: can't be written ({error.strerror or error})")
