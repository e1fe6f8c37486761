"""Restore what arrives in a folder: whole files only, each once.

The folder is looked through again and again, since disks of the network tell nobody what arrives. A
file counts as whole when it has not changed for a while. One that turns out to be cut is a failure
that is told once; it is tried again when it changes, as a photo does that was replaced.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from mirnet.choices import OutputDepth
from mirnet.errors import PhotoError
from mirnet.inference.batch import Outcome, Steps, require_writable, run
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.ledger import Ledger, Way
from mirnet.inference.places import Location, is_folder, on_disk
from mirnet.inference.planning import plan

LOCK = ".mirnet-watch.lock"
"""In the output folder, which one watcher has to itself."""
LONGEST_PAUSE_S = 1.0
"""Between two looks at the folder."""

_State = tuple[tuple[int, int], ...]
"""Size in bytes and time of change in ns of each file of a job."""


@dataclass(slots=True)
class _Seen:
    """How a job's files were found, since when they are so, and whether that has been told."""

    state: _State
    since: float
    is_told: bool = False


class Arrivals:
    """Tells what has arrived whole, once, and again when it has changed."""

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the seconds that files must be unchanged, above 0, and what tells the time in s."""
        self._settle_s, self._clock = settle_s, clock
        self._seen: dict[Job | str, _Seen] = {}

    @property
    def are_due(self) -> bool:
        """Whether anything that was seen has not been told yet."""
        return any(not seen.is_told for seen in self._seen.values())

    def whole(self, found: Plan) -> Plan:
        """What of a plan has settled since it was told last; faults settle as files do."""
        before, self._seen = self._seen, {}
        told = Plan(left_alone=found.left_alone)
        for job in found.jobs:
            with suppress(OSError):  # gone, since it was found
                if self._is_due(
                    job, tuple(_state_of(on_disk(source)) for source in job.sources), before
                ):
                    told.jobs.append(job)
        for path, fault in found.faults.items():
            if self._is_due(fault, (), before):
                told.faults[path] = fault
        return told

    def again(self, jobs: list[Job]) -> None:
        """Let jobs be told once more, when they have settled anew."""
        for job in jobs:
            self._seen.pop(job, None)

    def _is_due(self, key: Job | str, state: _State, before: dict[Job | str, _Seen]) -> bool:
        """Whether it has settled, and was not told as it is now."""
        seen = before.get(key)
        if seen is None or seen.state != state:
            seen = _Seen(state, self._clock())
        self._seen[key] = seen
        if seen.is_told or self._clock() - seen.since < self._settle_s:
            return False
        seen.is_told = True
        return True


def watch(
    folder: Path,
    output: Path,
    load: Callable[[], Steps],
    *,
    way: Callable[[], Way] = dict,
    suffix: str | None = None,
    depth: OutputDepth = "keep",
    views: int = 1,
    overwrite: bool = False,
    settle_s: float = 2.0,
    once: bool = False,
    progress: Callable[[int, int, Location], None] = lambda done, total, source: None,
    told: Callable[[Outcome], None] = lambda outcome: None,
    says: Callable[[str], None] = lambda line: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Restore what is in a folder and what arrives there, until it is cancelled.

    Args:
        folder: is searched with all below it, and mirrored as a tree.
        output: the folder for the results; it is made if need be.
        load: makes what restores the photos, once, when the first has arrived.
        way, suffix, depth, views, progress: as for ``batch.run`` and ``planning.plan``.
        overwrite: whether to restore again what is there already, once.
        settle_s: seconds that a file must be unchanged, above 0.
        once: end when all that is there is done.
        told: is given what came of each round in which there was work, even of one that a signal
            ended.
        says: is told in one line that it begins, and when a folder is not there.
        cancelled: asked before each look and each photo.

    Raises:
        PhotoError: the folders are one, the output can't be written, or another watcher has it;
            or the folder is not there, and it is for once.
    """
    if os.path.realpath(folder) == os.path.realpath(output):
        raise PhotoError(f"{output}: is the folder that is watched; name another for the results")
    if once and not is_folder(folder):
        raise PhotoError(f"{folder}: there is no such folder")
    arrivals, load, way = Arrivals(settle_s), cache(load), cache(way)
    missing: Path | None = None
    unwritable: str | None = None
    with _alone(output):
        says(f"watching {folder}; results go to {output}")
        while not cancelled():
            began = time.monotonic()
            gone = next((each for each in (folder, output) if not is_folder(each)), None)
            if gone is not None and gone != missing:
                says(f"{gone}: is not there; waiting for it")
            missing = gone
            if gone is None:
                found = plan(
                    [str(folder)],
                    output,
                    suffix=suffix,
                    depth=depth,
                    views=views,
                    may_be_empty=True,
                )
                for part, renews in _parts(arrivals.whole(found), output, overwrite=overwrite):
                    outcome = Outcome()
                    try:
                        run(
                            part,
                            load,
                            output=output,
                            way=way,
                            overwrite=renews,
                            progress=progress,
                            cancelled=cancelled,
                            outcome=outcome,
                        )
                    except PhotoError as error:  # the output can't be written
                        if once:
                            raise
                        arrivals.again(part.jobs)
                        if str(error) != unwritable:
                            unwritable = str(error)
                            says(f"{part.jobs[0].source}: waits, since {error}")
                    else:
                        unwritable = None
                    finally:
                        told(outcome)
                if once and not arrivals.are_due:
                    return
            # What takes long to look through is looked through less often.
            time.sleep(max(min(settle_s / 4, LONGEST_PAUSE_S), time.monotonic() - began))


def _parts(found: Plan, output: Path, *, overwrite: bool) -> Iterator[tuple[Plan, bool]]:
    """Photos that are new, and those that were replaced, whose results must be made anew."""
    ledger = Ledger(output)
    parts: tuple[list[Job], list[Job]] = [], []
    for job in found.jobs:
        parts[overwrite or ledger.is_outdated(job)].append(job)
    others, replaced = parts
    if others or found.faults:
        yield Plan(others, found.faults), False
    if replaced:
        yield Plan(replaced), True


def _state_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Have the output folder to oneself. Raises PhotoError if another watcher has it."""
    require_writable(output)
    lock = FileLock(output / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise PhotoError(
            f"{output}: another `mirnet watch` restores into it; stop that one, or name another "
            "folder"
        ) from error
    try:
        yield
    finally:
        with suppress(OSError):  # some systems keep what is open
            (output / LOCK).unlink()
        lock.release()
