"""A batch of photos: done one by one, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mirnet.atomic import remove_leftovers, require_folder
from mirnet.errors import MirnetError, PhotoError, one_line
from mirnet.inference.ledger import Ledger, content_of
from mirnet.inference.planning import Plan

RestoreFile = Callable[[Path, Path], tuple[str, ...]]
"""Restores a source into a target, and says what is doubtful or was left out."""

logger = logging.getLogger("mirnet")


@dataclass(slots=True)
class Outcome:
    """What came of a batch.

    Attributes:
        restored: how many photos were restored.
        skipped: how many were there already, made from the same photo as far as is known.
        failures: one line for each photo or path that was not restored.
        notes: what is doubtful in a restored photo, or was left out of it.
        is_cancelled: whether it was stopped before its end.
    """

    restored: int = 0
    skipped: int = 0
    failures: dict[Path, str] = field(default_factory=dict)
    notes: dict[Path, tuple[str, ...]] = field(default_factory=dict)
    is_cancelled: bool = False


def run(
    plan: Plan,
    load: Callable[[], RestoreFile],
    *,
    output: Path,
    overwrite: bool = False,
    progress: Callable[[int, int, Path], None] = lambda done, total, source: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Restore one photo after the other; whatever one raises is noted, and the next one begun.

    Args:
        plan: the photos.
        load: makes what restores them; it is not called if all is done already.
        output: the folder for the results; it is made if need be.
        overwrite: whether to restore again what is there already.
        progress: called before each photo and at the end, with how many are done, of how many.
        cancelled: asked before each photo; if it says so, the batch ends.

    Raises:
        PhotoError: the output folder can't be written; nothing was begun.
    """
    outcome = Outcome(failures=dict(plan.faults))
    todo = []
    ledger = Ledger(output)
    for job in plan.jobs:
        try:
            is_there = job.target.exists()
            is_done = is_there and not overwrite
            against = is_there and ledger.objection(job.target, job.source, overwrite=overwrite)
            if against:
                outcome.failures[job.source] = f"{job.source}: {against}"
                continue
        except OSError as error:  # a name that is too long, say
            outcome.failures[job.source] = _reason(job.source, error)
            continue
        outcome.skipped += is_done
        todo += [] if is_done else [job]
    if not todo:
        return outcome
    _require_writable(output)
    for folder in {job.target.parent for job in todo}:
        remove_leftovers(folder)
    restore_file = load()
    for number, job in enumerate(todo):
        if cancelled():
            outcome.is_cancelled = True
            break
        progress(number, len(todo), job.source)
        try:
            content = content_of(job.source)
            job.target.parent.mkdir(parents=True, exist_ok=True)
            notes = restore_file(job.source, job.target)
        except Exception as error:
            logger.debug("%s", job.source, exc_info=True)
            outcome.failures[job.source] = _reason(job.source, error)
        else:
            outcome.restored += 1
            ledger.note(job.target, job.source, content)
            if notes:
                outcome.notes[job.source] = notes
    else:
        progress(len(todo), len(todo), todo[-1].source)
    return outcome


def _require_writable(output: Path) -> None:
    try:
        require_folder(output)
    except OSError as error:
        raise PhotoError(
            f"{output}: can't be written ({error.strerror}); name another folder with -o"
        ) from error


def _reason(source: Path, error: Exception) -> str:
    """One line that begins with the photo's path."""
    text = one_line(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}; check the disk and the name"
    if not isinstance(error, MirnetError | OSError | MemoryError):
        text = f"{type(error).__name__}: {text}"
    return text if text.startswith(f"{source}: ") else f"{source}: {text}"
