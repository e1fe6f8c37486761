"""The parent's side of the worker processes: one for each device, watched by a thread each."""

from __future__ import annotations

import logging
import multiprocessing
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from mirnet.units import in_time
from mirnet.web.job import Job, News
from mirnet.web.jobs import Jobs
from mirnet.web.settings import Settings
from mirnet.web.worker import work

logger = logging.getLogger("mirnet")

PAUSE_S = 5.0
"""How long it is waited after a process that could not start, in seconds."""
STARTS = 3
"""After so many failed starts, one after the other, what waits is told why."""
TICK_S = 0.05
"""How often a running job is looked at for being cancelled or too long."""


class Crew:
    """Worker processes that take jobs from the queue."""

    def __init__(self, devices: tuple[str, ...], jobs: Jobs, settings: Settings) -> None:
        """One worker for each device; ``start`` begins."""
        self._jobs, self._settings = jobs, settings
        self._foremen = [_Foreman(device, jobs, settings, self._is_any_ready) for device in devices]

    def start(self) -> None:
        """Start the processes; they load the default weights."""
        for foreman in self._foremen:
            foreman.thread.start()

    def stop(self) -> None:
        """Kill the processes, whatever they do."""
        for foreman in self._foremen:
            foreman.stopped.set()
        for foreman in self._foremen:
            foreman.thread.join()

    @property
    def is_ready(self) -> bool:
        """Whether each process is there and has its weights."""
        return all(foreman.is_ready for foreman in self._foremen)

    def _is_any_ready(self) -> bool:
        return any(foreman.is_ready for foreman in self._foremen)


class _Foreman:
    """Keeps one worker process going, and brings it jobs."""

    def __init__(
        self, device: str, jobs: Jobs, settings: Settings, is_any_ready: Callable[[], bool]
    ) -> None:
        self._device, self._jobs, self._settings = device, jobs, settings
        self._is_any_ready, self._failed_starts = is_any_ready, 0
        self._process: SpawnProcess | None = None
        self._line: Connection
        self._is_idle = True
        self.is_ready = False
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"mirnet-{device}", daemon=True)

    def _run(self) -> None:
        try:
            while not self.stopped.is_set():
                try:
                    if self._has_process() and (job := self._jobs.next(timeout_s=1.0)):
                        self._bring(job)
                except OSError as error:  # out of files or processes, which may pass
                    logger.warning("the worker for %s: %s; tried again", self._device, error)
                    self._end_process()
                    self.stopped.wait(PAUSE_S)
        finally:
            self._end_process()

    def _has_process(self) -> bool:
        """Start a process if there is none; whether it is ready for work."""
        if self._process and not self._process.is_alive():
            self._end_process()
        if self._process is None:
            self._process, self._line = self._started()
        why = "it ended while it started"
        with suppress(EOFError, OSError):
            while not (self.is_ready or self.stopped.is_set()):
                if self._line.poll(TICK_S):
                    news: News = self._line.recv()
                    why = news.detail or why
                    self.is_ready = news.detail is None
                    if not self.is_ready:
                        break
            else:
                self._failed_starts = 0
                return self.is_ready
        self._failed_starts += 1
        logger.warning("the worker for %s: %s; another follows", self._device, why)
        if self._failed_starts >= STARTS and not self._is_any_ready():
            self._jobs.fail_waiting(f"no worker can start ({why})")
        self._end_process()
        self.stopped.wait(PAUSE_S)
        return False

    def _started(self) -> tuple[SpawnProcess, Connection]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=work, args=(theirs, self._device, self._settings), daemon=True
        )
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return process, ours

    def _bring(self, job: Job) -> None:
        """Have a job done; a process that is late, cancelled or dead is ended."""
        self._is_idle, is_begun = False, False
        try:
            self._line.send(job.errand)
            while not (job.is_over or self.stopped.is_set()):
                if self._line.poll(TICK_S):
                    self._pass_on(self._line.recv(), job)
                    is_begun = True
                if not job.is_over and job.runs_s > self._settings.job_s:
                    allowed = in_time(self._settings.job_s)
                    self._jobs.fail(
                        job,
                        f"took longer than the {allowed} that the server allows a photo",
                    )
        except (EOFError, OSError):
            if is_begun:
                self._jobs.fail(job, self._last_words())
            else:  # the process had died before; the photo is not to blame
                self._jobs.put_back(job)
        if not self._is_idle:
            self._end_process()
        if self._jobs.get(job.id) is None:  # forgotten while the process still wrote
            shutil.rmtree(job.folder, ignore_errors=True)

    def _pass_on(self, news: News, job: Job) -> None:
        if news.state is None:
            job.hear(news)
        else:
            self._is_idle = True
            self._jobs.end(job, news.state, notes=news.notes, detail=news.detail)

    def _last_words(self) -> str:
        assert self._process
        self._process.join(5)
        code = self._process.exitcode
        if code == -9:
            return "ended the process that restored it (killed: out of memory, most likely)"
        return f"ended the process that restored it (exit status {code})"

    def _end_process(self) -> None:
        if self._process:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._line.close()
        self._process, self.is_ready = None, False
