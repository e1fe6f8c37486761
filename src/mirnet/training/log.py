"""What a run reports: a JSON line and a TensorBoard point for each interval, and a progress bar."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from mirnet.atomic import replacing
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.imaging.quantize import from_planes
from mirnet.progress import columns

WAITING = 0.2
"""Share of the time spent waiting for data from which it is a bottleneck."""


class RunLog:
    """The log of a run in its folder: ``log.jsonl`` and ``tensorboard/``."""

    def __init__(
        self, folder: Path, *, first_step: int, total_steps: int, quiet: bool = False
    ) -> None:
        """Go on with the log of a run; what it said after ``first_step`` is dropped.

        Of several processes, all but one are to be ``quiet``: they say and write nothing.
        """
        self.quiet = quiet
        self._intervals, self._has_said = 0, False
        if quiet:
            return
        self.path = folder / "log.jsonl"
        _drop_after(self.path, first_step)
        self._file = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=first_step + 1)
        self._progress = columns()
        self._bar = self._progress.add_task("training", total=total_steps, completed=first_step)

    def __enter__(self) -> Self:
        """Show the progress bar."""
        if not self.quiet:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files."""
        if self.quiet:
            return
        self._progress.stop()
        self._board.close()
        self._file.close()

    def advance(self, step: int, loss: float) -> None:
        """Move the progress bar to ``step`` steps done."""
        if self.quiet:
            return
        self._progress.update(self._bar, completed=step, description=f"training, loss {loss:.5f}")

    def write(self, kind: str, step: int, values: Mapping[str, float | int | str]) -> None:
        """Report ``values`` after ``step`` steps; ``kind`` is "train" or "validation"."""
        if self.quiet:
            return
        line: dict[str, Any] = {"kind": kind, "step": step}
        line |= {key: _rounded(value) for key, value in values.items()}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        series = f"{kind} {values['folder']}" if "folder" in values else kind
        for key, value in values.items():
            if isinstance(value, float | int):
                self._board.add_scalar(f"{series}/{key}", value, step)

    def show(self, name: str, step: int, picture: Tensor) -> None:
        """Show a picture ``(3, H, W)`` in [0, 1] in TensorBoard, and keep it in ``samples/``."""
        if self.quiet:
            return
        picture = picture.detach().float().cpu().clamp(0, 1)
        self._board.add_image(name, picture, step)
        samples = self.path.parent / "samples"
        samples.mkdir(exist_ok=True)
        pixels = from_planes(picture.numpy(), channels=3, dtype=np.uint8)
        file = re.sub(r"[^\w.-]+", "-", name).strip("-")
        write_photo(Photo(pixels=pixels), samples / f"{file}.png")

    def say(self, message: str) -> None:
        """Print a line above the progress bar."""
        if self.quiet:
            return
        self._progress.console.print(message, highlight=False)

    def say_if_waiting(self, share: float) -> None:
        """Say once that data is the bottleneck, if this share of the time is spent waiting.

        The first interval doesn't count: in it, workers start.
        """
        self._intervals += 1
        if share > WAITING and self._intervals > 1 and not self._has_said:
            self._has_said = True
            self.say(
                f"{share:.0%} of the time is spent waiting for data: raise data.workers, or train "
                "on a faster disk"
            )


class Interval:
    """What happened since the last line of the log; steps that were skipped count as such."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.steps = 0
        self._losses: list[float] = []
        self._norms: list[float] = []

    def add(self, loss: float, norm: float | None) -> None:
        """Note a step; ``norm`` is that of its gradient, None if it was skipped."""
        self.steps += 1
        if norm is not None:
            self._losses.append(loss)
            self._norms.append(norm)

    def numbers(self) -> dict[str, float]:
        """Mean loss and gradient norm of the steps that were taken, and how many were not."""
        taken = len(self._losses)
        numbers: dict[str, float] = {
            "loss": sum(self._losses) / taken if taken else math.nan,
            "gradient_norm": sum(self._norms) / taken if taken else math.nan,
        }
        if taken < self.steps:
            numbers["skipped"] = self.steps - taken
        return numbers


class Clock:
    """How long steps take, and how much of that is spent waiting for data."""

    def __init__(self) -> None:
        """Start counting."""
        self._since = time.monotonic()
        self._waited = 0.0

    def waiting(self, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches; the time until each is there counts as waiting."""
        while True:
            start = time.monotonic()
            batch = next(batches, None)
            self._waited += time.monotonic() - start
            if batch is None:
                return
            yield batch

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """What is done in here is no part of the steps."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._since += time.monotonic() - start

    def rates(self, steps: int, batch_size: int) -> dict[str, float]:
        """Seconds a step, images a second and the share of waiting since the last call."""
        now = time.monotonic()
        elapsed = max(now - self._since, 1e-9)
        rates = {
            "step_s": elapsed / steps,
            "images_per_s": steps * batch_size / elapsed,
            "data_wait_share": self._waited / elapsed,
        }
        self._since, self._waited = now, 0.0
        return rates


def _drop_after(path: Path, step: int) -> None:
    """A run that was killed may have logged steps that its saved state has not done."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text("utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["step"] <= step:
            kept.append(line + "\n")
    with replacing(path) as temporary:
        temporary.write_text("".join(kept), "utf-8")


def _rounded(value: float | int | str) -> float | int | str | None:
    if not isinstance(value, float):
        return value
    return float(f"{value:.7g}") if math.isfinite(value) else None
