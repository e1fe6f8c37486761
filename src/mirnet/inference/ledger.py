"""Which photo each result was made from, and how, noted beside the results.

Cameras number photos from 1 again, so two of one name may want one place in different runs; without
a note, the second would be taken for done, or be written over the first. And what was denoised is
not yet brightened.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from mirnet.inference.planning import Job

NAME = ".mirnet-results.jsonl"
Way = dict[str, Any]
"""How results are made: whatever makes them differ, as plain values."""
LOOKED_AT = 1 << 16
"""Bytes at either end of a file that, with its length, tell photos apart."""


class Ledger:
    """The notes of an output folder: a line for each result, written when it is there."""

    def __init__(self, folder: Path) -> None:
        """Read what is noted; half a line, of a process that was killed, counts for nothing."""
        self.path = folder / NAME
        self._notes: dict[str, tuple[str, str, Way | None]] = {}
        with suppress(OSError):
            for line in self.path.read_text("utf-8", errors="replace").splitlines():
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
        if not is_same and place != os.path.realpath(job.source):
            return f"{job.target} is there already, made from {place}; name another folder with -o"
        if overwrite or (is_same and made in (None, way)):
            return None
        was = "with other weights or options" if is_same else "from what this photo was before"
        return f"{job.target} was made {was}; --overwrite makes it anew"

    def is_outdated(self, job: Job) -> bool:
        """Whether a job's result was made from what its photo was before it was replaced."""
        noted = self._notes.get(self._key(job.target))
        if noted is None or noted[0] != os.path.realpath(job.source):
            return False
        with suppress(OSError):  # which is told when it is read
            return noted[1] != content_of(*job.sources)
        return False

    def note(self, job: Job, content: str, way: Way) -> None:
        """Note that a job's result is there now. A full disk is no fault of the photo."""
        key, place = self._key(job.target), os.path.realpath(job.source)
        self._notes[key] = place, content, way
        line = {"result": key, "source": place, "content": content, "way": way}
        with suppress(OSError), self.path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")  # one write, so that two processes don't mix

    def _key(self, target: Path) -> str:
        return os.path.relpath(target, self.path.parent)


def content_of(*sources: Path) -> str:
    """A digest of files' lengths, beginnings and ends."""
    digest = hashlib.sha256()
    for source in sources:
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{size}\0".encode() + file.read(LOOKED_AT))
            file.seek(max(size - LOOKED_AT, 0))
            digest.update(file.read(LOOKED_AT))
    return digest.hexdigest()
