"""Restore photos on a node; Ray runs each call in a thread of its own."""

from __future__ import annotations

import logging
import os
import platform
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from mirnet.atomic import remove_leftovers, signature
from mirnet.environment import code_sha256
from mirnet.errors import ClusterError
from mirnet.imaging.photo import Photo
from mirnet.inference.batch import Steps, begin, reason
from mirnet.inference.planning import Job
from mirnet.inference.views import Views

logger = logging.getLogger("mirnet")

AT_ONCE = 3
"""Photos in a worker's hands: one is read, one restored, one written."""
Make = Callable[[int, int], Steps]
"""Makes what restores photos on so many cores, with a part of a memory that so many share."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a node must have in common with the machine that gives out the photos.

    Attributes:
        code: the digest of mirnet's source.
        home: where relative paths begin; None if there are none.
        mark: a file in the output folder.
        photos: a folder with photos.
        level: from which on what is logged is told.
    """

    code: str
    home: Path | None
    mark: Path
    photos: Path
    level: int


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a photo.

    Attributes:
        content: what its content is known by.
        notes: what is doubtful or was left out of the result.
        failure: why it was not restored, in one line.
        said: what was logged meanwhile, with its level.
    """

    content: str = ""
    notes: tuple[str, ...] = ()
    failure: str | None = None
    said: tuple[tuple[int, str], ...] = ()


class Worker:
    """Has a network, and restores the photos that it is given."""

    def __init__(self) -> None:
        """Have nothing yet."""
        self._steps: Steps
        # One thread, so that the threads within the network are always the same.
        self._network = ThreadPoolExecutor(1, "mirnet-network")
        self._reading, self._writing = Lock(), Lock()
        self._written: deque[tuple[Job, Came]] = deque(maxlen=AT_ONCE)
        self._cleared: set[Path] = set()
        self._log = _Log()

    def load(self, make: Make, site: Site, cores: int, share: int) -> str:
        """Get ready to restore, and return the signature of this process's temporary files.

        Raises ClusterError if this node lacks what it should have in common.
        """
        _require_common(site)
        logger.addHandler(self._log)
        logger.setLevel(site.level)
        logger.propagate = False
        self._steps = make(max(cores, 1), share)
        return signature()

    def restore(self, job: Job) -> Came:
        """Restore a photo, and say what came of it."""
        try:
            return self._restored(job)
        except Exception as error:
            logger.debug("%s", job.source, exc_info=True)
            return Came(failure=reason(job.source, error), said=self._log.taken())

    def finish(self) -> list[tuple[Job, Came]]:
        """Wait for what is being written; nothing is written any more. Returns the last results."""
        self._writing.acquire()
        return list(self._written)

    def _restored(self, job: Job) -> Came:
        with self._reading:
            content = begin(job)
            self._clear(job.target.parent)
            # The only reference, so that the pixels go when the network has them.
            ahead = [self._steps.read_ahead(job)]
        photo = self._network.submit(self._through_network, ahead, job).result()
        with self._writing:
            notes = self._steps.write(photo, job.target)
            came = Came(content, notes, said=self._log.taken())
            self._written.append((job, came))
            return came

    def _clear(self, folder: Path) -> None:
        """Of what other runs on this machine have left."""
        if folder not in self._cleared:
            remove_leftovers(folder)
            self._cleared.add(folder)

    def _through_network(self, ahead: list[Views | None], job: Job) -> Photo:
        return self._steps.restore(ahead.pop() or self._steps.read(job), job)


class _Log(logging.Handler):
    """Keeps what is logged until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with the traceback that comes with it."""
        self._kept.append((record.levelno, self.format(record)))

    def taken(self) -> tuple[tuple[int, str], ...]:
        """What was kept."""
        with self.lock or Lock():
            kept, self._kept = tuple(self._kept), []
        return kept


def _require_common(site: Site) -> None:
    """Raise ClusterError if this node has other code or files."""
    here = f"node {platform.node()}"
    if code_sha256() != site.code:
        raise ClusterError(f"{here}: has another version of mirnet; install the same everywhere")
    try:
        if site.home is not None:
            os.chdir(site.home)
        for path in (site.mark, site.photos):
            path.stat()
    except OSError as error:
        raise ClusterError(
            f"{here}: doesn't have {error.filename} ({error.strerror}); every node needs the "
            "photos and the output folder at the same place"
        ) from error
