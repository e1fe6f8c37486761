"""What is evaluated for a task: its benchmark's or anybody's pairs, its weights, its baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirnet.choices import BenchmarkName, ProtocolName, TaskName
from mirnet.data.checking import require_targets
from mirnet.data.packed import is_packed, read_head
from mirnet.data.pair import Pair
from mirnet.data.sources import DATASETS, left_out, whole_pairs
from mirnet.errors import DataError
from mirnet.evaluation.benchmarks import BENCHMARKS, Benchmark
from mirnet.evaluation.method import place_name, place_sha256
from mirnet.evaluation.run import folder_name
from mirnet.imaging.photo import Depth
from mirnet.metrics.protocol import PROTOCOLS, Protocol
from mirnet.tasks.registry import TASKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Pairs to score, and how.

    Attributes:
        label: a short name, also of the folder that the scores go to.
        pairs: the data.
        protocol: how they are scored; None where a server does it.
        data: what is to be said of the pairs.
        depth: that their publisher gives them.
        unreadable: why each pair that belongs here too is not among them, by its name.
    """

    label: str
    pairs: tuple[Pair, ...]
    protocol: Protocol | None
    data: dict[str, Any]
    depth: Depth | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)


def task_of(benchmark: BenchmarkName) -> TaskName:
    """The task whose benchmark it is."""
    return next(task.name for task in TASKS.values() if benchmark in task.benchmarks)


def described(
    label: str, folder: Path, *, note: str | None = None, benchmark: Benchmark | None = None
) -> dict[str, Any]:
    """What is to be said of the pairs in ``folder``, beside their scores."""
    return {
        "label": label,
        "benchmark": benchmark.name if benchmark else None,
        "split": benchmark.split if benchmark else None,
        "whole": list(benchmark.whole) if benchmark else [],
        "note": note,
        "place_sha256": place_sha256(folder),
    }


def of_benchmark(benchmark: BenchmarkName, folder: Path, note: str | None) -> Subject:
    """A benchmark, as its publisher lays it out in ``folder``.

    Raises DataError that names what is missing.
    """
    spec = BENCHMARKS[benchmark]
    return Subject(
        label=benchmark,
        pairs=spec.pairs(folder),
        protocol=PROTOCOLS[spec.protocol] if spec.protocol else None,
        data=described(benchmark, folder, note=note, benchmark=spec),
        depth=DATASETS[benchmark].depth,
        unreadable=left_out(folder, spec.split),
    )


def of_folder(folder: Path, protocol: ProtocolName, note: str | None) -> Subject:
    """Anybody's pairs: a folder with ``input/`` (or ``inputL/``, ``inputR/``) and ``target/``.

    A picture without its partner is named among the unreadable. Raises DataError for a folder
    that lacks one of these, holds no pictures, or is a packed benchmark.
    """
    _require_own(folder)
    pairs, unreadable = whole_pairs(folder, "test")
    if not pairs and not unreadable:
        raise DataError(f"{folder}: holds no pairs")
    require_targets(pairs, of=str(folder))
    label = place_name(folder)
    return Subject(
        label=folder_name(label),
        pairs=pairs,
        protocol=PROTOCOLS[protocol],
        data=described(label, folder, note=note),
        unreadable=unreadable,
    )


def _require_own(folder: Path) -> None:
    """A packed benchmark is no folder of one's own."""
    for name, benchmark in BENCHMARKS.items():
        packed = folder.expanduser() / benchmark.split
        if is_packed(packed.parent, benchmark.split) and read_head(packed)["dataset"] == name:
            raise DataError(
                f"{folder}: was packed from {name}; say --benchmark {name} --data {folder} instead"
            )
