"""A scoring run that can be stopped at any time: every score is on disk as soon as it is made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from mirnet.atomic import remove_leftovers, replacing, require_folder
from mirnet.data.pair import Pair
from mirnet.errors import DataError
from mirnet.evaluation.evaluate import Result, printable, score_pairs
from mirnet.evaluation.method import Method, made_by
from mirnet.evaluation.scores import Fault, PairScore, Scores, as_line, from_line
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Depth, Photo
from mirnet.imaging.quantize import from_planes
from mirnet.metrics.lpips import Lpips
from mirnet.metrics.protocol import Protocol

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
    """A folder holds scores that must not be mixed with these."""


class NothingScoredError(DataError):
    """No pair could be scored by a method, which says nothing of other methods and pairs."""


def run(
    method: Method,
    pairs: Sequence[Pair],
    protocol: Protocol,
    *,
    data: dict[str, Any],
    unreadable: Mapping[str, str] | None = None,
    folder: Path | None = None,
    depth: Depth | None = None,
    lpips: Lpips | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Score ``method`` on these pairs.

    Args:
        method: what restores.
        pairs: views and targets.
        protocol: how each is scored.
        data: what is to be said of the pairs: data set, split, whole number; ``place_sha256``
            tells folders of one label apart.
        unreadable: why each pair that belongs here too can't be read, by its name.
        folder: where everything is written: ``score.json``, ``scores.csv``, the restored pictures.
            A run that was stopped goes on there.
        depth: that the pictures must have, where a benchmark's publisher says so.
        lpips: with its weights, for a protocol that names it.
        workers: threads that read pictures ahead.
        progress: is told how many pairs of how many are done.

    Raises NothingScoredError if no pair could be scored, with nothing left in the folder, and
    OtherScoresError if it holds scores of something else.
    """
    made = made_by(method)
    measured_by = json.loads(json.dumps(asdict(protocol)))  # as a file gives it back
    identity = {**made, "protocol": measured_by, "place_sha256": data.get("place_sha256")}
    faults = [
        Fault(id=printable(name), why=printable(why)) for name, why in (unreadable or {}).items()
    ]
    if not pairs and not faults:
        raise DataError(f"{data['label']}: holds no pairs to score")
    with _journal(folder, identity) as journal:
        # Now, and not when a pair is done: a file that changes meanwhile is another one.
        keys = {pair.id: _key(pair, method) for pair in pairs}
        known = {
            # The group is said by the data, which may have been completed since.
            pair.id: replace(score, group=pair.group)
            for pair in pairs
            if (score := journal.known(pair, keys[pair.id]))
        }
        of = len(pairs) + len(faults)
        left = [pair for pair in pairs if pair.id not in known]
        for result in score_pairs(
            method, left, protocol, depth=depth, lpips=lpips, workers=workers
        ):
            if isinstance(result, Fault):
                faults.append(result)
            else:
                known[result.pair.id] = result.score
                journal.add(keys[result.pair.id], result)
            if progress:
                progress(len(known) + len(faults), of)
        if not known:
            raise NothingScoredError(
                f"{data['label']}: {method.name}: no pair could be scored; the first: "
                f"{faults[0].why}"
            )
        scores = Scores(
            method={"name": method.name, **method.identity},
            protocol=measured_by,
            data=data,
            pairs=tuple(known[pair.id] for pair in pairs if pair.id in known),
            faults=tuple(faults),
            made={
                "code_sha256": made["code_sha256"],
                "versions": made["versions"],
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "seconds": round(sum(score.seconds for score in known.values()), 3),
            },
        )
        if folder:
            scores.write(folder)
        return scores


class _Journal:
    """The scores that a folder holds, by what they depend on; and the way to add more."""

    def __init__(self, folder: Path | None, identity: dict[str, Any]) -> None:
        self.folder = folder
        self._scores: dict[str, tuple[str, PairScore]] = {}
        if folder is None:
            return
        self._path = folder / JOURNAL
        if self._path.exists():
            self._read(identity)
        else:
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps({"of": identity}) + "\n", "utf-8")

    def known(self, pair: Pair, key: str) -> PairScore | None:
        """The score of a pair whose key is this one, if its picture is there too.

        A pair has one picture in the folder, and so one score: the last.
        """
        found = self._scores.get(pair.id)
        if self.folder is None or found is None or found[0] != key:
            return None
        return found[1] if picture_path(self.folder, pair.id).exists() else None

    def add(self, key: str, result: Result) -> None:
        """Keep a restored picture, then its score: what has a score has a picture."""
        if self.folder is None:
            return
        is_deep = any(each.layout().dtype != "uint8" for each in result.pair.pictures())
        dtype = np.uint16 if is_deep else np.uint8
        pixels = from_planes(result.restored.float().numpy(), channels=3, dtype=dtype)
        write_photo(Photo(pixels=pixels), picture_path(self.folder, result.pair.id))
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"key": key, **as_line(result.score)}) + "\n")

    def _read(self, identity: dict[str, Any]) -> None:
        text = self._path.read_text("utf-8", errors="replace")
        whole, _, torn = text.rpartition("\n")
        lines = whole.split("\n")
        try:
            before = dict(json.loads(lines[0])["of"])
            for line in map(json.loads, lines[1:]):
                score = from_line(line)
                self._scores[score.id] = str(line["key"]), score
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{self._path}: is damaged; remove it, and all is scored again"
            ) from error
        for name, value in identity.items():
            if before.get(name) != json.loads(json.dumps(value)):
                raise OtherScoresError(
                    f"{self.folder}: holds scores of another {CALLED.get(name, name)}; name "
                    "another --output, or remove that folder"
                )
        if torn:  # a stop in the middle of a line
            with replacing(self._path) as temporary:
                temporary.write_text(whole + "\n", "utf-8")


@contextmanager
def _journal(folder: Path | None, identity: dict[str, Any]) -> Iterator[_Journal]:
    if folder is None:
        yield _Journal(None, identity)
        return
    made = [each for each in folder.parents if not each.exists()]
    require_folder(folder / PICTURES)
    try:
        with FileLock(folder / LOCK, timeout=0):
            for each in (folder, folder / PICTURES):
                remove_leftovers(each)
            yield _Journal(folder, identity)
    except Timeout as error:
        raise DataError(f"{folder}: another run scores into it; name another --output") from error
    except NothingScoredError:
        _remove_empty(folder, made)
        raise


def _remove_empty(folder: Path, above: Sequence[Path]) -> None:
    """Remove the folder of a run that holds no picture, and those that were made for it."""
    with suppress(OSError):  # what holds something stays
        (folder / PICTURES).rmdir()
        for name in (JOURNAL, LOCK):
            (folder / name).unlink(missing_ok=True)
        for each in (folder, *above):
            each.rmdir()


def picture_path(folder: Path, pair_id: str) -> Path:
    """Where the restored picture of a pair lies in the folder of a run."""
    return folder / PICTURES / f"{pair_id}.png"


def folder_name(text: str) -> str:
    """A name for a folder that says the same."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "unnamed"


def _key(pair: Pair, method: Method) -> str:
    """Changes when the pair's files or what is made of them change."""
    return json.dumps([pair.id, *stamps(pair, method)])


def stamps(pair: Pair, method: Method) -> list[str]:
    """Of the pair's files and of what is made of them; what is not there has none."""
    found = []
    sources: list[Callable[[], str]] = [picture.stamp for picture in pair.pictures()]
    sources.append(partial(method.stamp, pair))
    for stamp in sources:
        try:
            found.append(stamp())
        except OSError:  # which its fault will say
            found.append("")
    return found
