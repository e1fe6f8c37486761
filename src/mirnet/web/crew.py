"""The parent's side of the worker processes: one for each device, watched by a thread each."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
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
TICK_S = 0.05
"""How often a running job is looked at for being cancelled or too long."""


class Crew:
    """Worker processes that take jobs from the queue."""

    def __init__(self, devices: tuple[str, ...], jobs: Jobs, settings: Settings) -> None:
        """One worker for each device; ``start`` begins."""
        self._jobs, self._settings = jobs, settings
        self._foremen = [_Foreman(device, jobs, settings) for device in devices]

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


class _Foreman:
    """Keeps one worker process going, and brings it jobs."""

    def __init__(self, device: str, jobs: Jobs, settings: Settings) -> None:
        self._device, self._jobs, self._settings = device, jobs, settings
        self._process: SpawnProcess | None = None
        self._line: Connection
        self._is_idle = True
        self.is_ready = False
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"mirnet-{device}", daemon=True)

    def _run(self) -> None:
        try:
            while not self.stopped.is_set():
                if not self._has_process():
                    continue
                self._jobs.forget_old()
                if job := self._jobs.next(timeout_s=1.0):
                    self._bring(job)
        finally:
            self._end_process()

    def _has_process(self) -> bool:
        """Start a process if there is none; whether it is ready for work."""
        if self._process and not self._process.is_alive():
            self._end_process()
        if self._process is None:
            context = multiprocessing.get_context("spawn")
            self._line, theirs = context.Pipe()
            self._process = context.Process(
                target=work, args=(theirs, self._device, self._settings), daemon=True
            )
            self._process.start()
            theirs.close()
        with suppress(EOFError, OSError):
            while not (self.is_ready or self.stopped.is_set()):
                if self._line.poll(TICK_S):
                    self._line.recv()
                    self.is_ready = True
            return self.is_ready
        logger.warning("the worker for %s ended while it started; another follows", self._device)
        self.stopped.wait(PAUSE_S)
        return False

    def _bring(self, job: Job) -> None:
        """Have a job done; a process that is late, cancelled or dead is ended."""
        self._is_idle = False
        try:
            self._line.send(job.errand)
            while not (job.is_over or self.stopped.is_set()):
                if self._line.poll(TICK_S):
                    self._pass_on(self._line.recv(), job)
                elif time.monotonic() - (job.started or 0) > self._settings.job_s:
                    allowed = in_time(self._settings.job_s)
                    self._jobs.end(
                        job, "failed",
                        detail=f"{job.name}: took longer than the {allowed} that the server "
                        "allows a photo (--job-s)",
                    )  # fmt: skip
        except (EOFError, OSError):
            self._jobs.end(job, "failed", detail=f"{job.name}: {self._last_words()}")
        if not self._is_idle:
            self._end_process()

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
