"""The child's side of a worker process: it holds the networks and restores one photo at a time.

A process of its own can be stopped in the middle of a photo, and what a photo does to it, a
server outlives.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

from mirnet.checkpoints.expected import expected_for
from mirnet.errors import one_line
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo
from mirnet.imaging.quantize import quantize, to_float
from mirnet.inference.batch import reason, run
from mirnet.inference.files import FileSteps
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.restorer import Restorer
from mirnet.inference.views import Views
from mirnet.tasks.weights import checkpoint_for_photos
from mirnet.web.job import Errand, News
from mirnet.web.order import Box
from mirnet.web.settings import Settings

logger = logging.getLogger("mirnet")

Tell = Callable[[News], None]


def work(connection: Connection, device: str, settings: Settings) -> None:
    """Load the default weights, then do one errand after another until the parent hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this
    _end_with_parent()
    equipped = cache(lambda weights: _equip(weights, device, settings))
    try:
        equipped("denoising")
    except Exception as error:  # noqa: BLE001  (whatever it is, the server tells it)
        connection.send(News(state="failed", detail=one_line(error)))
        return
    connection.send(News(step="ready"))
    while True:
        try:
            errand: Errand = connection.recv()
        except EOFError:
            return
        try:
            ending = _done(errand, equipped, connection.send)
        except Exception as error:  # noqa: BLE001  (of weights, say; the next may fare better)
            ending = News(state="failed", detail=reason(errand.source, error))
        connection.send(ending)


def _end_with_parent() -> None:
    """A server that was killed takes its workers with it, whatever they do."""
    parent = multiprocessing.parent_process()
    assert parent

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _equip(weights: str, device: str, settings: Settings) -> Restorer:
    _, checkpoint = checkpoint_for_photos(None, weights, enlarges=False)
    return Restorer(
        checkpoint.build(),
        device=device,
        precision=settings.precision,
        memory=settings.memory,
        runtime=settings.runtime,
        expected=expected_for(checkpoint.task),
    )


def _done(errand: Errand, equipped: Callable[[str], Restorer], tell: Tell) -> News:
    """Do an errand, as ``mirnet restore`` would, and say how it ended."""
    job = Job(errand.source, errand.target, errand.right)

    def load() -> _Steps:
        tell(News(step="loading weights"))
        return _Steps(equipped(errand.weights), errand, tell)

    outcome = run(Plan([job]), load, output=errand.target.parent, overwrite=True)
    if outcome.failures:
        return News(state="failed", detail=outcome.failures[job.source])
    return News(state="done", notes=outcome.notes.get(job.source, ()))


class _Steps(FileSteps):
    """A photo's three steps, told, and with the pictures that a browser needs."""

    def __init__(self, restorer: Restorer, errand: Errand, tell: Tell) -> None:
        super().__init__(
            restorer,
            errand.order.treatment,
            depth=errand.order.depth,
            quality=errand.order.quality,
            allow_damaged=errand.order.allow_damaged,
            progress=lambda done, of: tell(News(progress=done / of)),
        )
        self._errand, self._tell = errand, tell

    def restore(self, views: Views, job: Job) -> Photo:
        """The restored photo, after its preview."""
        with _at_best():
            if self._errand.before:
                _write_for_browser(views[0], self._errand.before)
            if self._errand.box:
                self._tell(News(step="previewing"))
                self._preview(views, self._errand.box)
        self._tell(News(step="restoring"))
        return super().restore(views, job)

    def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
        """Write it, and say what is doubtful or was left out."""
        self._tell(News(step="writing"))
        notes = super().write(photo, target)
        with _at_best():
            if self._errand.after:
                _write_for_browser(read_photo(target), self._errand.after)
        return notes

    def _preview(self, views: Views, box: Box) -> None:
        parts = tuple(_part(view, box) for view in views)
        restored = self._restorer.restore_photo(
            *parts,
            treatment=self._errand.order.treatment,
            depth="8",
            where=str(self._errand.source),
        )
        _write_for_browser(restored, self._errand.preview)
        self._tell(News(previewed=True))


@contextmanager
def _at_best() -> Iterator[None]:
    """Go on without a picture for a browser that can't be made."""
    try:
        yield
    except Exception:
        logger.warning("a picture for the page could not be made", exc_info=True)


def _part(photo: Photo, box: Box) -> Photo:
    rows, columns = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
    alpha = None if photo.alpha is None else photo.alpha[rows, columns]
    return replace(photo, pixels=photo.pixels[rows, columns], alpha=alpha)


def _write_for_browser(photo: Photo, path: Path) -> None:
    """As PNG of 8 bits with its colours, and nothing else that it carries."""
    pixels, alpha = photo.pixels, photo.alpha
    if photo.depth != "8":
        pixels = quantize(to_float(pixels), "uint8")
        alpha = None if alpha is None else quantize(to_float(alpha), "uint8")
    metadata = Metadata(icc=photo.metadata.icc)
    write_photo(replace(photo, pixels=pixels, alpha=alpha, metadata=metadata), path)
