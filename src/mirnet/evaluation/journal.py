"""What a scoring run has done: every score is on disk as soon as it is made, after its picture."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from mirnet.atomic import remove_leftovers, replacing, require_folder
from mirnet.data.pair import Pair
from mirnet.environment import file_sha256
from mirnet.errors import DataError
from mirnet.evaluation.evaluate import Result
from mirnet.evaluation.scores import PairScore, as_line, from_line
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.imaging.quantize import from_planes

JOURNAL = "journal.jsonl"
PICTURES = "pictures"
LOCK = ".lock"
CALLED = {
    "code_sha256": "code",
    "versions": "version of Python, torch or numpy",
    "place_sha256": "data folder",
}
"""What a key of a journal's identity is called in a message, if not by its name."""


class OtherScoresError(DataError):
    """A folder holds scores that must not be mixed with these; others need not."""


class NothingScoredError(DataError):
    """No pair could be scored by a method, which says nothing of other methods and pairs."""


class _Entry(NamedTuple):
    """What is noted of a pair: the key of what it depends on, its picture's SHA-256, its score."""

    key: str
    picture: str
    score: PairScore


class Journal:
    """The scores that a folder holds, by what they depend on; and the way to add more.

    A pair has one picture in the folder, and so one score: the last.
    """

    def __init__(self, folder: Path | None) -> None:
        """Read what the folder holds; of no folder, nothing. DataError if it is damaged."""
        self.folder = folder
        self._entries: dict[str, _Entry] = {}
        self._of: dict[str, Any] | None = None
        if folder is not None and (folder / JOURNAL).exists():
            self._read(folder / JOURNAL)

    def begin(self, identity: dict[str, Any]) -> None:
        """Note what all scores here depend on. OtherScoresError if they depend on something else.

        What a stop left in the middle of a line goes.
        """
        if self.folder is None:
            return
        path, before = self.folder / JOURNAL, self._of
        if before is None:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps({"of": identity}) + "\n", "utf-8")
            return
        for name, value in identity.items():
            if before.get(name) != json.loads(json.dumps(value)):
                raise OtherScoresError(
                    f"{self.folder}: holds scores of another {CALLED.get(name, name)}; name "
                    "another --output, or remove that folder"
                )
        whole, _, torn = path.read_text("utf-8", errors="replace").rpartition("\n")
        if torn:
            with replacing(path) as temporary:
                temporary.write_text(whole + "\n", "utf-8")

    def known(self, pair: Pair, key: str) -> PairScore | None:
        """The score of a pair whose key is this one, if its picture is there as it was written."""
        found = self._entries.get(pair.id)
        if found is None or found.key != key or self.picture(pair.id) is None:
            return None
        return found.score

    def picture(self, pair_id: str) -> Path | None:
        """The restored picture of a pair, if it is there as it was written."""
        found = self._entries.get(pair_id)
        if self.folder is None or found is None:
            return None
        path = picture_path(self.folder, pair_id)
        with suppress(OSError):
            if file_sha256(path) == found.picture:
                return path
        return None

    def add(self, key: str, result: Result) -> None:
        """Keep a restored picture, then its score: what has a score has a picture."""
        if self.folder is None:
            return
        is_deep = any(each.layout().dtype != "uint8" for each in result.pair.pictures())
        dtype = np.uint16 if is_deep else np.uint8
        pixels = from_planes(result.restored.float().numpy(), channels=3, dtype=dtype)
        path = picture_path(self.folder, result.pair.id)
        write_photo(Photo(pixels=pixels), path)
        noted = {"key": key, "picture": file_sha256(path)}
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({**noted, **as_line(result.score)}) + "\n")

    def keep_only(self, names: Collection[str]) -> None:
        """Remove the pictures of other pairs; what was not written here, or changed since, stays.

        Scores of such pairs stay too: a pair that comes back is scored again for its picture.
        """
        for name in self._entries.keys() - set(names):
            if path := self.picture(name):
                path.unlink()

    def _read(self, path: Path) -> None:
        whole, _, _ = path.read_text("utf-8", errors="replace").rpartition("\n")
        head, *lines = whole.split("\n")
        try:
            self._of = dict(json.loads(head)["of"])
            for line in map(json.loads, lines):
                score = from_line(line)
                # A version before noted no picture; its scores are refused for their code.
                picture = str(line.get("picture", ""))
                self._entries[score.id] = _Entry(str(line["key"]), picture, score)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: is damaged; remove it, and all is scored again") from error


@contextmanager
def opened(folder: Path | None, identity: dict[str, Any]) -> Iterator[Journal]:
    """The journal of a run, which has its folder to itself; None for one that keeps nothing.

    Raises DataError if another run scores there, and what `Journal` raises.
    """
    if folder is None:
        yield Journal(None)
        return
    made = [each for each in folder.parents if not each.exists()]
    require_folder(folder / PICTURES)
    try:
        with locked(folder, PICTURES):
            journal = Journal(folder)
            journal.begin(identity)
            yield journal
    except NothingScoredError:
        _remove_empty(folder, made)
        raise


@contextmanager
def locked(folder: Path, files: str) -> Iterator[None]:
    """Have the folder of a run, and ``files`` in it, to oneself, without what killed runs left.

    Raises DataError if another run has it.
    """
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise DataError(f"{folder}: another run scores into it; name another --output") from error
    try:
        for each in (folder, folder / files):
            remove_leftovers(each)
        yield
    finally:
        lock.release()


def picture_path(folder: Path, pair_id: str) -> Path:
    """Where the restored picture of a pair lies in the folder of a run."""
    return folder / PICTURES / f"{pair_id}.png"


def _remove_empty(folder: Path, above: Sequence[Path]) -> None:
    """Remove the folder of a run that holds no picture, and those that were made for it."""
    with suppress(OSError):  # what holds something stays
        (folder / PICTURES).rmdir()
        for name in (JOURNAL, LOCK):
            (folder / name).unlink(missing_ok=True)
        for each in (folder, *above):
            each.rmdir()
