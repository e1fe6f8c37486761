"""A progress bar on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def columns() -> Progress:
    """A bar that says what is done, how much of it, and how long it will take."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        # Results are printed to stdout while a bar runs: it would take them to its own stderr.
        redirect_stdout=False,
        redirect_stderr=False,
    )


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function ``(done, of)`` that moves a bar, which appears when it is first called."""
    progress = columns()
    task = progress.add_task(what, total=None)

    def show(done: int, of: int) -> None:
        progress.start()
        progress.update(task, completed=done, total=of)

    try:
        yield show
    finally:
        progress.stop()
