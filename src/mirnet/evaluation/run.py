"""A scoring run that can be stopped at any time, and goes on where it was."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from mirnet.data.pair import Pair
from mirnet.errors import DataError
from mirnet.evaluation.evaluate import printable, score_pairs
from mirnet.evaluation.journal import NothingScoredError, opened
from mirnet.evaluation.method import Method, made_by
from mirnet.evaluation.scores import Fault, Scores, read_scores
from mirnet.imaging.photo import Depth
from mirnet.metrics.lpips import Lpips
from mirnet.metrics.protocol import Protocol


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
            A run that was stopped goes on there; a restored picture that is gone or was changed
            is made again, and that of a pair which is no more goes.
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
    with opened(folder, identity) as journal:
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
            data={**data, "note": _note(data, folder)},
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
            journal.keep_only({*keys, *(unreadable or {})})
        return scores


def folder_name(text: str) -> str:
    """A name for a folder that says the same."""
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.") or "unnamed"


def _note(data: Mapping[str, Any], folder: Path | None) -> str | None:
    """What is said of the data; if nothing, what was said last beside scores of the same place."""
    said = data.get("note")
    if said is not None or folder is None:
        return None if said is None else str(said)
    before = []
    for path in folder.parent.glob("*/score.json"):
        with suppress(DataError):
            before.append(read_scores(path))
    notes = {
        scores.made["at"]: scores.data["note"]
        for scores in before
        if scores.data["note"] and scores.data.get("place_sha256") == data.get("place_sha256")
    }
    return str(notes[max(notes)]) if notes else None


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
