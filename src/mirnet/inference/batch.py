"""A batch of photos, and what came of it.

While the network has one photo, the next is read and the last is written, each in a thread. The
network runs in the thread of the caller, which a signal stops.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol, Self

from mirnet.atomic import remove_leftovers, require_folder
from mirnet.errors import MirnetError, PhotoError, StoreError, one_line
from mirnet.imaging.photo import Photo
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.ledger import Ledger, Way, content_of
from mirnet.inference.places import Address, Location, on_disk
from mirnet.inference.stores import Silence, files_below
from mirnet.inference.views import Views

logger = logging.getLogger("mirnet")


class Steps(Protocol):
    """What a photo goes through, each step in a thread of its own; see ``files.FileSteps``."""

    def read(self, job: Job) -> Views:
        """The photo, or its views, if it can be restored and written to the job's target."""
        ...

    def read_ahead(self, job: Job) -> Views | None:
        """As ``read``, while another photo is restored; None for one that had better wait."""
        ...

    def restore(self, views: Views, job: Job) -> Photo:
        """The restored photo."""
        ...

    def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
        """Write it, and say what is doubtful or was left out."""
        ...


_Read = tuple[str, Views | None]
"""What a photo's content is known by, and the photo, unless it had better wait."""


@dataclass(slots=True)
class Outcome:
    """What came of a batch.

    Attributes:
        restored: how many photos were restored.
        skipped: how many were there already, made from the same photo in the same way, as far as is
            known.
        failures: one line for each photo or path that was not restored.
        notes: what is doubtful in a restored photo, or was left out of it.
        is_cancelled: whether it was stopped before its end.
    """

    restored: int = 0
    skipped: int = 0
    failures: dict[Location, str] = field(default_factory=dict)
    notes: dict[Location, tuple[str, ...]] = field(default_factory=dict)
    is_cancelled: bool = False

    def note_restored(self, job: Job, notes: tuple[str, ...]) -> None:
        """A photo was restored and written; ``notes`` say what is doubtful or was left out."""
        self.restored += 1
        if notes:
            self.notes[job.source] = notes

    def note_failed(self, job: Job, why: str) -> None:
        """A photo was not restored; the line begins with its path."""
        self.failures[job.source] = why


@dataclass(frozen=True, slots=True)
class Todo:
    """What is still to do of a plan.

    Attributes:
        jobs: the photos that are neither done nor spoken against, in their order.
        note: notes in the output folder that a job's result is there now, made from that content.
        save: sees to it that these notes are there at the end.
    """

    jobs: list[Job]
    note: Callable[[Job, str], None]
    save: Callable[[], None]


def still_to_do(
    plan: Plan, *, output: Location, way: Callable[[], Way], overwrite: bool, outcome: Outcome
) -> Todo:
    """Part a plan into what is left to do, what is done, and what can't be done.

    The latter two go into ``outcome``. If anything is to do, the output folder is made, and what a
    killed process left in it is removed. The arguments are those of ``run``.

    Raises:
        PhotoError: the output folder can't be written; nothing was begun.
        StoreError: a store does not answer; nothing was begun.
    """
    outcome.failures |= plan.faults
    jobs, redone, silence = list[Job](), set[Job](), Silence()
    ledger, way, is_there_already = Ledger(output), cache(way), _presence(output)
    for job in plan.jobs:
        try:
            is_there = is_there_already(job.target)
            is_done = is_there and not overwrite
            against = is_there and ledger.objection(job, way(), overwrite=overwrite)
            if against:
                outcome.note_failed(job, f"{job.source}: {against}")
                continue
        except StoreError as error:
            if silence.lasts(error.store, error.spent_s):
                raise
            outcome.note_failed(job, reason(job.source, error))
            continue
        except (OSError, PhotoError) as error:  # a name that is too long, say
            outcome.note_failed(job, reason(job.source, error))
            continue
        silence.ends(*job.stores)
        outcome.skipped += is_done
        jobs += [] if is_done else [job]
        redone |= {job} if is_there and not is_done else set()
    if jobs:
        _make_ready(output, ledger, jobs, redone)
    return Todo(jobs, lambda job, content: ledger.note(job, content, way()), ledger.save)


def _make_ready(output: Location, ledger: Ledger, jobs: list[Job], redone: set[Job]) -> None:
    """See that the output takes files, and remove what killed processes left there."""
    for folder in {output, *(job.target.parent for job in jobs)}:
        if isinstance(folder, Path):
            remove_leftovers(folder)
    if not isinstance(output, Address):
        require_writable(output)
        return
    for job in jobs:  # notes follow results late there: they must not be taken for true meanwhile
        (ledger.doubt if job in redone else ledger.forget)(job)
    try:
        ledger.save()  # nothing else tells whether a store takes files
    except OSError as error:
        raise PhotoError(
            f"{ledger.path}: can't be made here ({error.strerror}); make room, or set TMPDIR"
        ) from error


def _presence(output: Location) -> Callable[[Location], bool]:
    """What tells whether a result is there; a store is asked for all of them at once."""
    if isinstance(output, Address):
        there = frozenset(address for address, _ in files_below(output))
        return there.__contains__
    return lambda target: on_disk(target).exists()


def run(
    plan: Plan,
    load: Callable[[], Steps],
    *,
    output: Path,
    way: Callable[[], Way] = dict,
    overwrite: bool = False,
    progress: Callable[[int, int, Location], None] = lambda done, total, source: None,
    cancelled: Callable[[], bool] = lambda: False,
    outcome: Outcome | None = None,
) -> Outcome:
    """Restore the photos in their order; whatever one raises is noted, and the next one begun.

    Args:
        plan: the photos.
        load: makes what restores them; it is not called if all is done already.
        output: the folder for the results; it is made if need be.
        way: tells weights and options as plain values, when there is work or a result already;
            what was made in another way is not taken for done.
        overwrite: whether to restore again what is there already.
        progress: called before each photo and at the end, with how many are done, of how many.
        cancelled: asked before each photo; if it says so, the batch ends.
        outcome: what is filled, for who wants to know after an interrupt.

    Raises:
        PhotoError: the output folder can't be written; nothing was begun.
    """
    outcome = Outcome() if outcome is None else outcome
    todo = still_to_do(plan, output=output, way=way, overwrite=overwrite, outcome=outcome)
    jobs = todo.jobs
    if not jobs:
        return outcome
    steps = load()
    with _Line(steps, todo, outcome) as line:
        for number, job in enumerate(jobs):
            if cancelled():
                outcome.is_cancelled = True
                return outcome
            progress(number, len(jobs), job.source)
            line.restore(number)
    progress(len(jobs), len(jobs), jobs[-1].source)
    return outcome


class _Line:
    """The photos on their way: one is read, one restored, one written."""

    def __init__(self, steps: Steps, todo: Todo, outcome: Outcome) -> None:
        self._steps, self._jobs, self._note = steps, todo.jobs, todo.note
        self._outcome = outcome
        self._threads = ThreadPoolExecutor(2, "mirnet-files")
        self._next: Future[_Read] | None = None
        self._last: tuple[Job, Future[tuple[str, ...]]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the last photo be written; what was read ahead is dropped."""
        try:
            self._note_last()
        finally:
            self._threads.shutdown(cancel_futures=True)

    def restore(self, number: int) -> None:
        """Bring a photo through the network; whatever it raises is noted."""
        job, ahead, self._next = self._jobs[number], self._next, None
        try:
            content, views = ahead.result() if ahead else (begin(job), None)
            views = views or self._steps.read(job)
            self._look_ahead(number + 1)
            restored = self._steps.restore(views, job)
            del views
        except Exception as error:
            logger.debug("%s", job.source, exc_info=True)
            self._look_ahead(number + 1)
            self._note_last()  # so that failures are listed in the photos' order
            self._outcome.note_failed(job, reason(job.source, error))
        else:
            self._note_last()  # so that no more than one waits to be written
            self._last = job, self._threads.submit(self._write, job, content, restored)

    def _look_ahead(self, number: int) -> None:
        if self._next is None and number < len(self._jobs):
            self._next = self._threads.submit(self._read_ahead, self._jobs[number])

    def _read_ahead(self, job: Job) -> _Read:
        return begin(job), self._steps.read_ahead(job)

    def _write(self, job: Job, content: str, photo: Photo) -> tuple[str, ...]:
        notes = self._steps.write(photo, on_disk(job.target))
        self._note(job, content)
        return notes

    def _note_last(self) -> None:
        """What came of the photo that was written last."""
        if self._last is None:
            return
        (job, writing), self._last = self._last, None
        try:
            notes = writing.result()
        except Exception as error:
            logger.debug("%s", job.source, exc_info=True)
            self._outcome.note_failed(job, reason(job.source, error))
        else:
            self._outcome.note_restored(job, notes)


def begin(job: Job) -> str:
    """Make the folder of the result, and say what the photo's content is known by."""
    content = content_of(*job.sources)
    on_disk(job.target).parent.mkdir(parents=True, exist_ok=True)
    return content


def require_writable(output: Path) -> None:
    """Make the folder of the results. Raises PhotoError if no file can be written in it."""
    try:
        require_folder(output)
    except OSError as error:
        raise PhotoError(
            f"{output}: can't be written ({error.strerror}); name another folder with -o"
        ) from error


def reason(source: Location, error: Exception) -> str:
    """One line that begins with the photo's path."""
    text = one_line(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.strerror}; check the disk and the name"
    if not isinstance(error, MirnetError | OSError | MemoryError):
        text = f"{type(error).__name__}: {text}"
    return text if text.startswith(f"{source}: ") else f"{source}: {text}"
