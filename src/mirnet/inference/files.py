"""Restore a photo file in three steps, so that a batch reads and writes while the network runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mirnet.choices import OutputDepth
from mirnet.errors import DamagedPhotoError, PhotoError
from mirnet.imaging.io import check_quality, check_writable, read_header, read_photo, write_photo
from mirnet.imaging.photo import Photo, PhotoHeader
from mirnet.inference.guards import doubts_after, doubts_before
from mirnet.inference.jobs import Job
from mirnet.inference.places import on_disk
from mirnet.inference.streaming.stream import Progress, ignore_progress
from mirnet.inference.treatment import Treatment
from mirnet.inference.views import Views

if TYPE_CHECKING:
    from mirnet.inference.restorer import Restorer

PIXEL_TYPES = {"8": np.uint8, "16": np.uint16, "float": np.float32}
AHEAD = 1 / 32
"""How much of the memory that is left a photo may take that is read while another is restored."""


class FileSteps:
    """Reads, restores and writes photo files, all in one way."""

    def __init__(
        self,
        restorer: Restorer,
        treatment: Treatment = Treatment(),  # noqa: B008  (frozen)
        *,
        depth: OutputDepth = "keep",
        quality: int | None = None,
        allow_damaged: bool = False,
        progress: Progress = ignore_progress,
    ) -> None:
        """Take a restorer and the options of its ``restore_file``.

        Raises ValueError for one out of its range.
        """
        check_depth(depth)
        check_quality(quality)
        self._restorer, self._treatment, self._depth = restorer, treatment, depth
        self._quality, self._allow_damaged, self._progress = quality, allow_damaged, progress

    def read(self, job: Job) -> Views:
        """The photo, or its two views, if it can be restored, and written to the job's target.

        Raises PhotoError or InsufficientMemoryError if not; most reasons are found before the
        pixels are read.
        """
        header = self._header(job)
        self._restorer.require_memory(
            header.height,
            header.width,
            self._treatment,
            where=str(job.source),
            for_8_bits=header.depth == "8" and self._depth in ("keep", "8"),
        )
        return self._views(job, header)

    def read_ahead(self, job: Job) -> Views | None:
        """As ``read``, while another photo has the memory; None for one that had better wait."""
        header = self._header(job)
        values = header.height * header.width * (header.channels + header.has_alpha)
        size = values * np.dtype(PIXEL_TYPES[header.depth]).itemsize
        if size * self._restorer.views > AHEAD * self._restorer.room:
            return None
        return self._views(job, header)

    def restore(self, views: Views, job: Job) -> Photo:
        """The restored photo, with notes: those of what was read, and what is odd."""
        expected = self._restorer.expected
        doubts = doubts_before([view.pixels for view in views], expected)
        restored = self._restorer.restore_photo(
            *views,
            treatment=self._treatment,
            depth=self._depth,
            where=str(job.source),
            progress=self._progress,
        )
        doubts += doubts_after(views[0].pixels, restored.pixels, expected)
        notes = tuple(dict.fromkeys(note for view in views for note in view.notes))
        return replace(restored, notes=notes + doubts)

    def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
        """Write it, and return what is doubtful or was left out, a sentence each."""
        return photo.notes + write_photo(photo, target, quality=self._quality)

    def _views(self, job: Job, header: PhotoHeader) -> Views:
        try:
            return tuple(
                read_photo(path, allow_damaged=self._allow_damaged, view=view, header=header)
                for path, view in self._places(job)
            )
        except DamagedPhotoError as error:
            raise DamagedPhotoError(
                f"{error}, or restore what can be decoded with --allow-damaged"
            ) from error

    def _header(self, job: Job) -> PhotoHeader:
        """The photo's header, after a look at whether all can go well."""
        target = on_disk(job.target)
        for source in map(on_disk, job.sources):
            if target.exists() and source.exists() and target.samefile(source):
                raise PhotoError(f"{target}: is the input itself; name another output")
        header, *others = (read_header(path, view=view) for path, view in self._places(job))
        for other in others:
            if other != header:
                raise PhotoError(
                    f"{job.source}: is {header}, and its right view is {other}; "
                    "views have one size and kind"
                )
        planned = header if self._depth == "keep" else replace(header, depth=self._depth)
        check_writable(planned, target)
        return header

    def _places(self, job: Job) -> list[tuple[Path, int | None]]:
        """Where the views stand: files, and which picture of its file each is."""
        source, *right = map(on_disk, job.sources)
        if self._restorer.views == 2:
            return [(source, None), (right[0], None)] if right else [(source, 0), (source, 1)]
        if right:
            raise PhotoError(f"{right[0]}: is a second view, and these weights take one picture")
        return [(source, None)]


def check_depth(depth: str) -> None:
    """Raise ValueError for an unknown depth."""
    if depth not in ("keep", *PIXEL_TYPES):
        raise ValueError(f"depth is one of keep, {', '.join(PIXEL_TYPES)}, got {depth!r}")
