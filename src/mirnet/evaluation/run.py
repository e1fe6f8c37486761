"""A scoring run that can be stopped at any time: every score is on disk as soon as it is made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from mirnet.atomic import replacing, require_folder
from mirnet.data.pair import Pair
from mirnet.environment import code_sha256, versions
from mirnet.errors import DataError
from mirnet.evaluation.evaluate import Result, score_pairs
from mirnet.evaluation.method import Method
from mirnet.evaluation.scores import Fault, PairScore, Scores, as_line, from_line
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Depth, Photo
from mirnet.imaging.quantize import from_planes
from mirnet.metrics.lpips import Lpips
from mirnet.metrics.protocol import Protocol

JOURNAL = "journal.jsonl"
PICTURES = "pictures"


def run(
    method: Method,
    pairs: Sequence[Pair],
    protocol: Protocol,
    *,
    data: dict[str, Any],
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
        data: what is to be said of the pairs: data set, split, place, whole number.
        folder: where everything is written: ``score.json``, ``scores.csv``, the restored pictures.
            A run that was stopped goes on there.
        depth: that the pictures must have, where a benchmark's publisher says so.
        lpips: with its weights, for a protocol that names it.
        workers: threads that read pictures ahead.
        progress: is told how many pairs of how many are done.

    Raises DataError if no pair could be scored, or the folder holds scores of something else.
    """
    identity = {
        "method": dict(method.identity),
        "protocol": asdict(protocol),
        "code_sha256": code_sha256(),
    }
    with _journal(folder, identity) as journal:
        known = {
            pair.id: journal.scores[key]
            for pair in pairs
            if (key := _key(pair, method)) in journal.scores
        }
        faults = []
        left = [pair for pair in pairs if pair.id not in known]
        for result in score_pairs(
            method, left, protocol, depth=depth, lpips=lpips, workers=workers
        ):
            if isinstance(result, Fault):
                faults.append(result)
            else:
                known[result.pair.id] = result.score
                journal.add(_key(result.pair, method), result)
            if progress:
                progress(len(known) + len(faults), len(pairs))
        if not known:
            raise DataError(f"no pair could be scored; the first: {faults[0].why}")
        scores = Scores(
            method={"name": method.name, **method.identity},
            protocol=asdict(protocol),
            data=data,
            pairs=tuple(known[pair.id] for pair in pairs if pair.id in known),
            faults=tuple(faults),
            made={
                "code_sha256": code_sha256(),
                "versions": versions(),
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
        self.scores: dict[str, PairScore] = {}
        if folder is None:
            return
        self._path = folder / JOURNAL
        if self._path.exists():
            self._read(identity)
        else:
            with replacing(self._path) as temporary:
                temporary.write_text(json.dumps({"of": identity}) + "\n", "utf-8")

    def add(self, key: str, result: Result) -> None:
        """Keep a restored picture, then its score: what has a score has a picture."""
        if self.folder is None:
            return
        is_deep = "uint16" in {each.layout().dtype for each in result.pair.pictures()}
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
                self.scores[line["key"]] = from_line(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{self._path}: is damaged; remove it, and all is scored again"
            ) from error
        for name, value in identity.items():
            if before.get(name) != json.loads(json.dumps(value)):
                raise DataError(
                    f"{self.folder}: holds scores of another {name.replace('_sha256', '')}; name "
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
    require_folder(folder / PICTURES)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield _Journal(folder, identity)
    except Timeout as error:
        raise DataError(f"{folder}: another run scores into it; name another --output") from error


def picture_path(folder: Path, pair_id: str) -> Path:
    """Where the restored picture of a pair lies in the folder of a run."""
    return folder / PICTURES / f"{pair_id}.png"


def folder_name(text: str) -> str:
    """A name for a folder that says the same."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "unnamed"


def _key(pair: Pair, method: Method) -> str:
    """Changes when the pair's files or what is made of them change."""
    stamps = []
    for picture in pair.pictures():
        try:
            stamps.append(picture.stamp())
        except OSError:  # which its fault will say
            stamps.append("")
    return json.dumps([pair.id, *stamps, method.stamp(pair)])
