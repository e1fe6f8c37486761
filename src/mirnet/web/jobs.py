"""All jobs of a server: those that wait, in their order, and those that are over, for a while."""

from __future__ import annotations

import shutil
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mirnet.errors import MirnetError
from mirnet.units import counted, in_bytes
from mirnet.web.job import Job, State
from mirnet.web.settings import Settings

SPARE = 256 << 20
"""Bytes that the disk keeps free beside what photos that arrive may need."""
MOST_KEPT = 1000
"""Jobs that are over and not yet forgotten."""


class BusyError(MirnetError):
    """There is no place for another photo now.

    Attributes:
        retry_s: when to ask again, in seconds.
    """

    def __init__(self, message: str, retry_s: int) -> None:
        """Say what there is too much of, and when to ask again."""
        super().__init__(message)
        self.retry_s = retry_s


class Jobs:
    """A bounded queue, and what came out of it. May be used by several threads."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        ended: Callable[[Job], object] = lambda job: None,
    ) -> None:
        """Take a folder of this server's own for all files; ``ended`` hears of each end."""
        self.folder = folder
        self._settings, self._ended = settings, ended
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[Job] = deque()
        self._arriving: list[int] = []  # bytes of each, at most
        self._seconds_each = 5.0
        self._lock = threading.Condition()
        self._rates: dict[tuple[str, bool], float] = {}

    # --- of clients

    def reserve(self, size: int) -> None:
        """Take a place for a request of so many bytes, at most; BusyError if there is none."""
        with self._lock:
            taken = len(self._arriving) + len(self._waiting)
            if taken >= self._settings.max_jobs:
                retry_s = max(1, min(60, round(self._seconds_each)))
                raise BusyError(
                    f"{counted(taken, 'photo')} already in the queue; try again in {retry_s} s",
                    retry_s,
                )
            self._arriving.append(size)
        try:
            self._make_room()
        except BaseException:
            self.release(size)
            raise

    def release(self, size: int) -> None:
        """Give a place back, of a photo that has arrived or won't."""
        with self._lock:
            self._arriving.remove(size)

    def add(self, job: Job) -> None:
        """Put a job at the end of the queue."""
        with self._lock:
            rate = self._rates.get(_kind(job))
            job.expected_s = None if rate is None else rate * job.pixels
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._lock.notify()

    def get(self, id: str) -> Job | None:
        """The job of that name."""
        return self._jobs.get(id)

    def all(self) -> list[Job]:
        """In the order in which they came."""
        with self._lock:
            return list(self._jobs.values())

    def position(self, job: Job) -> int:
        """How many jobs are before it."""
        with self._lock, suppress(ValueError):
            running = sum(other.state == "running" for other in self._jobs.values())
            return self._waiting.index(job) + running
        return 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def cancel(self, job: Job) -> None:
        """End a job that is not over; whoever works on it notices."""
        self.end(job, "cancelled")

    def close(self) -> None:
        """Cancel all that is not over, so that whoever watches comes to an end."""
        for job in self.all():
            self.cancel(job)

    def forget(self, job: Job) -> None:
        """Cancel it if need be, and remove it and its files."""
        with self._lock:
            is_known = self._jobs.pop(job.id, None) is not None
        if is_known:
            self.cancel(job)
        shutil.rmtree(job.folder, ignore_errors=True)

    # --- of workers

    def next(self, timeout_s: float) -> Job | None:
        """The job that has waited longest, now running; None if none came in that time."""
        with self._lock:
            if not self._waiting:
                self._lock.wait(timeout_s)
            if not self._waiting:
                return None
            job = self._waiting.popleft()
            job.state, job.step, job.started = "running", "starting", time.monotonic()
        job.tell()
        return job

    def end(
        self, job: Job, state: State, *, notes: tuple[str, ...] = (), detail: str | None = None
    ) -> None:
        """Note how it ended, unless it has ended already."""
        with self._lock:
            if job.is_over:
                return
            with suppress(ValueError):
                self._waiting.remove(job)
            if state == "done":
                self._learn(job)
            job.end(state, notes=notes, detail=detail)
        self._ended(job)

    def fail(self, job: Job, why: str) -> None:
        """Note that it failed by no fault of its own."""
        job.is_blameless = True
        self.end(job, "failed", detail=f"{job.name}: {why}")

    def fail_waiting(self, why: str) -> None:
        """Note that nothing that waits can be done."""
        for job in self.all():
            if job.state == "waiting":
                self.fail(job, why)

    def put_back(self, job: Job) -> None:
        """Let it wait again, before all others, unless it is over."""
        with self._lock:
            if job.is_over:
                return
            job.state, job.step, job.started = "waiting", "waiting", None
            self._waiting.appendleft(job)
        job.tell()

    def forget_old(self) -> None:
        """Forget what was over long ago, and the oldest of too many."""
        over = [job for job in self.all() if job.is_over]
        oldest = time.monotonic() - self._settings.keep_s
        for number, job in enumerate(over):
            if (job.ended or 0) < oldest or number < len(over) - MOST_KEPT:
                self.forget(job)

    def _learn(self, job: Job) -> None:
        """How long a pixel takes, for what is told of the next photos."""
        now = time.monotonic()
        if job.restoring_since:
            self._rates[_kind(job)] = (now - job.restoring_since) / job.pixels
        self._seconds_each = (self._seconds_each + now - (job.started or now)) / 2

    def _make_room(self) -> None:
        """Forget old results where the disk is nearly full; BusyError if that is not enough."""
        need = 2 * sum(self._arriving) + SPARE
        lack = need - shutil.disk_usage(self.folder).free
        if lack <= 0:
            return
        over = [job for job in self.all() if job.is_over]
        if sum(map(_size_of, over)) < lack:
            raise BusyError(
                f"the server's disk lacks {in_bytes(lack)}; try again later, or have its owner "
                "make room, or set TMPDIR to another disk",
                retry_s=60,
            )
        while lack > 0 and over:
            oldest = over.pop(0)
            lack -= _size_of(oldest)
            self.forget(oldest)


def _size_of(job: Job) -> int:
    """Bytes of its files."""
    with suppress(OSError):
        return sum(path.stat().st_size for path in job.folder.rglob("*") if path.is_file())
    return 0


def _kind(job: Job) -> tuple[str, bool]:
    """What takes the same time a pixel, roughly: the weights, and whether the photo is large."""
    return job.errand.weights, job.pixels >= 1 << 19
