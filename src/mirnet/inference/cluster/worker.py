"""Restore photos on a node; Ray runs each call in a thread of its own."""

from __future__ import annotations

import logging
import os
import platform
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from mirnet.atomic import remove_leftovers, signature
from mirnet.environment import code_sha256
from mirnet.errors import ClusterError, MissingDependencyError, StoreError, in_names
from mirnet.imaging.photo import Photo
from mirnet.inference.batch import Steps, reason
from mirnet.inference.clients import require_client
from mirnet.inference.cluster.nearby import Nearby, nearby
from mirnet.inference.jobs import Job
from mirnet.inference.places import on_disk
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
        mark: a file in the output folder; None if that is in a store.
        photos: a folder with photos; None if there are none but in stores.
        level: from which on what is logged is told.
        protocols: of the stores.
    """

    code: str
    home: Path | None
    mark: Path | None
    photos: Path | None
    level: int
    protocols: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a photo.

    Attributes:
        content: what its content is known by.
        notes: what is doubtful or was left out of the result.
        failure: why it was not restored, in one line.
        silent: the store that did not answer, if that is why, and the seconds spent on it.
        said: what was logged meanwhile, with its level.
    """

    content: str = ""
    notes: tuple[str, ...] = ()
    failure: str | None = None
    silent: tuple[str, float] | None = None
    said: tuple[tuple[int, str], ...] = ()


class Worker:
    """Has a network, and restores the photos that it is given."""

    def __init__(self) -> None:
        """Have nothing yet."""
        self._steps: Steps
        # One thread, so that the threads within the network are always the same.
        self._network = ThreadPoolExecutor(1, "mirnet-network")
        self._reading, self._restoring, self._writing = Lock(), Lock(), Lock()
        self._written: deque[tuple[Job, Came]] = deque(maxlen=AT_ONCE)
        self._cleared: set[Path] = set()
        self._log = _Log()

    def load(self, make: Make, site: Site, cores: int, share: int) -> str:
        """Get ready to restore, and return the signature of this process's temporary files.

        Raises ClusterError if this node lacks what it should have in common, and
        MissingDependencyError if it can't speak to a store.
        """
        _require_common(site)
        remove_leftovers(Path(tempfile.gettempdir()))
        logger.addHandler(self._log)
        logger.setLevel(site.level)
        logger.propagate = False
        self._steps = make(max(cores, 1), share)
        return signature()

    def restore(self, job: Job) -> Came:
        """Restore a photo, and say what came of it."""
        with nearby(job) as near, self._log.naming(near.names):
            try:
                return self._restored(near)
            except Exception as error:
                logger.debug("%s", job.source, exc_info=True)
                why = in_names(reason(near.here.source, error), near.names)
                # An address's own fault names it, and needs no name before it.
                doubled = f"{job.source}: {job.source}: "
                why = why.replace(doubled, f"{job.source}: ", 1)
                silent = (error.store, error.spent_s) if isinstance(error, StoreError) else None
                return Came(failure=why, silent=silent, said=self._log.taken())

    def finish(self) -> list[tuple[Job, Came]]:
        """Wait for what is being written; nothing is written any more. Returns the last results."""
        self._writing.acquire()
        return list(self._written)

    def _restored(self, near: Nearby) -> Came:
        here, target = near.here, on_disk(near.here.target)
        with self._reading:
            content = near.bring()
            self._clear(target.parent)
            # The only reference, so that the pixels go when the network has them.
            ahead = [self._steps.read_ahead(here)]
        with self._restoring:
            photo = self._network.submit(self._through_network, ahead, here).result()
            # The next one waits until this one is being written: its pixels are in memory as long.
            self._writing.acquire()
        try:
            notes = self._steps.write(photo, target)
            near.deliver()
            notes = tuple(in_names(note, near.names) for note in notes)
            came = Came(content, notes, said=self._log.taken())
            self._written.append((near.job, came))
            return came
        finally:
            self._writing.release()

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
        self._names: dict[Path, str] = {}
        self._guard = Lock()

    @contextmanager
    def naming(self, names: dict[Path, str]) -> Iterator[None]:
        """Call files by these names; several may be on their way at once."""
        with self._guard:
            self._names |= names
        try:
            yield
        finally:
            with self._guard:
                for path in names:
                    self._names.pop(path, None)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line, with the traceback that comes with it."""
        line = self.format(record)
        with self._guard:
            self._kept.append((record.levelno, in_names(line, self._names)))

    def taken(self) -> tuple[tuple[int, str], ...]:
        """What was kept."""
        with self._guard:
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
            if path is not None:
                path.stat()
    except OSError as error:
        raise ClusterError(
            f"{here}: doesn't have {error.filename} ({error.strerror}); every node needs the "
            "photos and the output folder at the same place"
        ) from error
    for protocol in sorted(site.protocols):
        try:
            require_client(protocol)
        except MissingDependencyError as error:
            raise MissingDependencyError(f"{here}: {error}") from error
