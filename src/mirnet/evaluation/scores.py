"""Scores of a method on pairs, with all that a reader needs to trust them."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mirnet.atomic import replacing
from mirnet.errors import DataError

FORMAT = 1
"""Of ``score.json``."""
IDENTITY: dict[str, tuple[str, ...]] = {
    "network": ("weights", "device", "precision"),
    "pictures": ("folder",),
    "baseline": ("versions",),
}
"""Kinds of methods, in the order of a page, and what tells methods of a kind apart."""
ROUNDING = 1e-9
"""By how much a mean may differ from one that another machine made of the same scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """How one pair was scored.

    Attributes:
        id: of the pair.
        group: the part of its benchmark that it belongs to, if there are parts.
        scores: of the restored picture, by metric.
        input: of the first view as it is, by metric.
        digests: of its pictures' pixels: views, then target.
        seconds: that the restoration took.
    """

    id: str
    group: str | None
    scores: dict[str, float]
    input: dict[str, float]
    digests: tuple[str, ...]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A pair that could not be scored, and why, in one line."""

    id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one method on one set of pairs.

    Attributes:
        method: its name, and what identifies it.
        protocol: every field of the protocol that they were measured by.
        data: where the pairs come from, and how many there should be.
        made: code, versions, device, time.
        pairs: each pair's scores, in the data's order.
        faults: pairs without a score.
    """

    method: dict[str, Any]
    protocol: dict[str, Any]
    data: dict[str, Any]
    pairs: tuple[PairScore, ...]
    faults: tuple[Fault, ...] = ()
    made: dict[str, Any] = field(default_factory=dict)

    @property
    def data_sha256(self) -> str:
        """Of the pictures scored, in order, however they are stored."""
        return fingerprint(self.pairs)

    @property
    def groups(self) -> tuple[str, ...]:
        """The parts of the benchmark that the pairs belong to, in the order they appear."""
        return tuple(dict.fromkeys(pair.group for pair in self.pairs if pair.group is not None))

    def means(self, group: str | None = None) -> dict[str, float]:
        """The mean of each metric over the pairs, or those of a group, as tables give it."""
        return mean(pair.scores for pair in self._of(group))

    def input_means(self, group: str | None = None) -> dict[str, float]:
        """What the first views score as they are."""
        return mean(pair.input for pair in self._of(group))

    def summary(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return {
            "format": FORMAT,
            "method": self.method,
            "protocol": self.protocol,
            "data": {**self.data, "pairs": len(self.pairs), "sha256": self.data_sha256},
            "means": plain(self.means()),
            "input_means": plain(self.input_means()),
            "groups": {group: plain(self.means(group)) for group in self.groups},
            "made": self.made,
            "faults": [asdict(fault) for fault in self.faults],
            "scores": [as_line(pair) for pair in self.pairs],
        }

    def write(self, folder: Path) -> None:
        """Write ``score.json`` and ``scores.csv``, each whole or not at all."""
        text = json.dumps(self.summary(), indent=1, ensure_ascii=False)
        with replacing(folder / "score.json") as temporary:
            temporary.write_text(text + "\n", "utf-8")
        self._write_csv(folder / "scores.csv")

    def _write_csv(self, path: Path) -> None:
        metrics = list(self.pairs[0].scores)
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            rows = csv.writer(file)
            inputs = [f"input_{metric}" for metric in metrics]
            rows.writerow(["id", "group", *metrics, *inputs, "seconds"])
            for pair in self.pairs:
                values = [pair.scores[metric] for metric in metrics]
                before = [pair.input[metric] for metric in metrics]
                rows.writerow([pair.id, pair.group or "", *values, *before, f"{pair.seconds:.4f}"])

    def _of(self, group: str | None) -> list[PairScore]:
        return [pair for pair in self.pairs if group is None or pair.group == group]


def read_scores(path: Path) -> Scores:
    """What a ``score.json`` holds. Raises DataError that names the file and the fault."""
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["format"] > FORMAT:
            raise DataError(f"{path}: was written by a newer mirnet; pip install -U mirnet")
        scores = Scores(
            method=found["method"],
            protocol=found["protocol"],
            data=found["data"],
            made=found["made"],
            pairs=tuple(from_line(line) for line in found["scores"]),
            faults=tuple(Fault(**fault) for fault in found["faults"]),
        )
        _check(scores)
        _check_means(scores, found)
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder; name the score.json in it") from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; `mirnet evaluate -o` writes it") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is no score.json of `mirnet evaluate`, or damaged") from error
    return scores


def _check(scores: Scores) -> None:
    """Raise ValueError or KeyError for what no run writes, and a page could not show."""
    for part, names in (
        (scores.method, ("name", "kind", *IDENTITY.get(scores.method["kind"], ()))),
        (scores.protocol, ("name", "version", "round_to_8bit", "color", "crop", "ssim")),
        (scores.data, ("label", "benchmark", "whole", "note")),
        (scores.made, ("at", "code_sha256", "seconds")),
        (scores.made["versions"], ()),
    ):
        for name in names:
            part[name]
    metrics = scores.pairs[0].scores.keys() if scores.pairs else set()
    if not metrics or len({pair.id for pair in scores.pairs}) < len(scores.pairs):
        raise ValueError("no scores, or a pair twice")
    for pair in scores.pairs:
        values = [*pair.scores.values(), *pair.input.values()]
        if not pair.scores.keys() == pair.input.keys() == metrics or any(map(math.isnan, values)):
            raise ValueError("a score is missing, or no number")


def _check_means(scores: Scores, found: dict[str, Any]) -> None:
    """Raise ValueError or KeyError if a mean that a file gives is not that of its pairs."""
    again = scores.summary()
    parts = [(found[name], again[name]) for name in ("means", "input_means")]
    parts += [(found["groups"][group], means) for group, means in again["groups"].items()]
    for given, means in parts:
        for name, value in means.items():
            if not math.isclose(
                float(given[name]), float(value), rel_tol=ROUNDING, abs_tol=ROUNDING
            ):
                raise ValueError(f"a mean of {name} is not that of the pairs")


def as_line(pair: PairScore) -> dict[str, Any]:
    """A pair's scores as JSON has them."""
    return {**asdict(pair), "scores": plain(pair.scores), "input": plain(pair.input)}


def from_line(line: dict[str, Any]) -> PairScore:
    """The scores that `as_line` made a line of."""
    return PairScore(
        id=str(line["id"]),
        group=line["group"],
        scores={name: float(value) for name, value in line["scores"].items()},
        input={name: float(value) for name, value in line["input"].items()},
        digests=tuple(map(str, line["digests"])),
        seconds=float(line["seconds"]),
    )


def fingerprint(pairs: Iterable[PairScore]) -> str:
    """The SHA-256 of the pictures of all pairs, in order."""
    content = hashlib.sha256()
    for pair in pairs:
        for each in pair.digests:
            content.update(each.encode())
    return content.hexdigest()


def mean(rows: Iterable[dict[str, float]]) -> dict[str, float]:
    """The mean of each metric over rows, of which there is at least one."""
    every: Sequence[dict[str, float]] = list(rows)
    return {name: float(np.mean([row[name] for row in every])) for name in every[0]}


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """With infinity, which is the PSNR of equal pictures, as text: JSON has none."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
