"""Which photo each result was made from, and how, noted beside the results.

Cameras number photos from 1 again, so two of one name may want one place in different runs; without
a note, the second would be taken for done, or be written over the first. And what was denoised is
not yet brightened.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mirnet.atomic import temporary
from mirnet.errors import PhotoError
from mirnet.inference.jobs import Job
from mirnet.inference.places import Address, Location
from mirnet.inference.stores import put, read_text, version_of

NAME = ".mirnet-results.jsonl"
Way = dict[str, Any]
"""How results are made: whatever makes them differ, as plain values."""
IN_DOUBT: Way = {"in doubt": True}
"""Of a result that a batch was about to make anew."""
LOOKED_AT = 1 << 16
"""Bytes at either end of a file that, with its length, tell photos apart."""

SAVED_S = 30.0
"""So often notes are written where all must be written anew."""


class Ledger:
    """The notes of an output folder: a line for each result, written when it is there.

    In a store, where files don't grow, all lines are written anew now and then.
    """

    def __init__(self, folder: Location) -> None:
        """Read what is noted; half a line, of a process that was killed, counts for nothing.

        Raises PhotoError if the folder is in a store that can't be reached.
        """
        self.path: Location = folder / NAME
        self._folder = folder
        self._notes: dict[str, tuple[str, str, Way | None]] = {}
        text, self._saved = _read(self.path), time.monotonic()
        self._is_cut = bool(text) and not text.endswith("\n")
        for line in text.splitlines():
            with suppress(ValueError, KeyError, TypeError):
                note = json.loads(line)
                self._notes[str(note["result"])] = (
                    str(note["source"]),
                    str(note["content"]),
                    note.get("way"),
                )

    def objection(self, job: Job, way: Way, *, overwrite: bool) -> str | None:
        """What speaks against taking the file in a job's place for its result, or writing it.

        Nothing does if it was made from the same content, wherever that lay, and in the same way,
        or nothing is noted. Raises OSError if the source can't be read.
        """
        noted = self._notes.get(self._key(job.target))
        if noted is None:
            return None
        place, content, made = noted
        is_same = content == content_of(*job.sources)
        if not is_same and place != _place(job.source):
            return f"{job.target} is there already, made from {place}; name another folder with -o"
        if overwrite or (is_same and made in (None, way)):
            return None
        if made == IN_DOUBT:
            return f"{job.target} may be of other weights or options; --overwrite makes it anew"
        was = "with other weights or options" if is_same else "from what this photo was before"
        return f"{job.target} was made {was}; --overwrite makes it anew"

    def is_outdated(self, job: Job) -> bool:
        """Whether a job's result was made from what its photo was before it was replaced."""
        noted = self._notes.get(self._key(job.target))
        if noted is None or noted[0] != _place(job.source):
            return False
        with suppress(OSError):  # which is told when it is read
            return noted[1] != content_of(*job.sources)
        return False

    def note(self, job: Job, content: str, way: Way) -> None:
        """Note that a job's result is there now. A full disk is no fault of the photo."""
        key = self._key(job.target)
        self._notes[key] = _place(job.source), content, way
        if isinstance(self.path, Address):
            if time.monotonic() > self._saved + SAVED_S:
                with suppress(PhotoError, OSError):  # it is tried again, and at the end
                    self.save()
            return
        line = "\n" * self._is_cut + self._line(key)
        self._is_cut = True  # until it is seen to be whole
        with suppress(OSError):
            with self.path.open("a", encoding="utf-8") as lines:
                lines.write(line)  # one write, so that two processes don't mix
            self._is_cut = False

    def forget(self, job: Job) -> None:
        """Note nothing of a job's result until it is there."""
        self._notes.pop(self._key(job.target), None)

    def doubt(self, job: Job) -> None:
        """Note that a job's result is about to be made anew."""
        key = self._key(job.target)
        if key in self._notes:
            place, content, _ = self._notes[key]
            self._notes[key] = place, content, IN_DOUBT

    def save(self) -> None:
        """Write all notes, if the folder is in a store. PhotoError or OSError if that fails."""
        if not isinstance(self.path, Address):
            return
        self._saved = time.monotonic()
        with temporary(Path(tempfile.gettempdir()), self.path.suffix) as file:
            file.write_text("".join(map(self._line, self._notes)), "utf-8")
            put(file, self.path)

    def _line(self, key: str) -> str:
        place, content, way = self._notes[key]
        note = {"result": key, "source": place, "content": content, "way": way}
        return json.dumps(note) + "\n"

    def _key(self, target: Location) -> str:
        if isinstance(target, Address) and isinstance(self._folder, Address):
            return target.relative_to(self._folder)
        return os.path.relpath(str(target), str(self._folder))


def content_of(*sources: Location) -> str:
    """A digest of files' lengths, beginnings and ends; in a store, of what it says of them."""
    digest = hashlib.sha256()
    for source in sources:
        if isinstance(source, Address):
            digest.update(f"{version_of(source)}\0".encode())
            continue
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{size}\0".encode() + file.read(LOOKED_AT))
            file.seek(max(size - LOOKED_AT, 0))
            digest.update(file.read(LOOKED_AT))
    return digest.hexdigest()


def _place(source: Location) -> str:
    return str(source) if isinstance(source, Address) else os.path.realpath(source)


def _read(path: Location) -> str:
    if isinstance(path, Address):
        return read_text(path)
    with suppress(OSError):
        return path.read_text("utf-8", errors="replace")
    return ""
