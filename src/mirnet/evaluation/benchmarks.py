"""The paper's benchmarks: which pairs are scored how, and where the scores stand in its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mirnet.choices import BenchmarkName, ProtocolName, Split
from mirnet.data.pair import Pair
from mirnet.data.sources import DATASETS, find_pairs
from mirnet.evaluation.published import Table, published
from mirnet.units import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One of the paper's benchmarks.

    Attributes:
        name: what users type; also the name of its data set.
        split: the part that is scored.
        protocol: how; None if its publisher's server scores (DND).
        table: the number of the paper's table.
        heading: over its columns in that table.
        input_name: what its pictures are before they are restored, in a table.
        groups: headings of the parts that are scored on their own too, by the pairs' groups.
    """

    name: BenchmarkName
    split: Split = "test"
    protocol: ProtocolName | None
    table: int
    heading: str
    input_name: str = "input"
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def published(self) -> Table:
        """The paper's table."""
        return published()[self.table]

    def pairs(self, folder: Path) -> tuple[Pair, ...]:
        """The pairs that are scored, as their publisher or `mirnet prepare` lays them out.

        Raises DataError that names what is missing.
        """
        return find_pairs(folder, self.name, self.split)

    @property
    def whole(self) -> tuple[int, ...]:
        """How many pairs the whole benchmark may have: a mean over a part is another number."""
        return DATASETS[self.name].counts[self.split]


def _realsr(name: Literal["realsr-x2", "realsr-x3", "realsr-x4"], heading: str) -> Benchmark:
    return Benchmark(
        name=name, protocol=name, table=4, heading=heading, input_name="input (bicubic)"
    )


BENCHMARKS: dict[BenchmarkName, Benchmark] = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            name="dpdd",
            protocol="dpdd",
            table=2,
            heading="Combined",
            groups={"indoor": "Indoor", "outdoor": "Outdoor"},
        ),
        Benchmark(name="sidd", split="val", protocol="sidd", table=3, heading="SIDD"),
        Benchmark(name="dnd", protocol=None, table=3, heading="DND"),
        _realsr("realsr-x2", "×2"),
        _realsr("realsr-x3", "×3"),
        _realsr("realsr-x4", "×4"),
        Benchmark(name="lol", protocol="lol", table=5, heading="LoL"),
        Benchmark(name="fivek", protocol="fivek", table=6, heading="FiveK"),
    )
}


def remark(count: int, whole: Sequence[int]) -> str:
    """What is to be said of ``count`` pairs of a benchmark that has ``whole``; nothing of all.

    A mean over a part, or over more than the paper's pairs, is another number than its tables'.
    """
    if not whole or count in whole:
        return ""
    if count < min(whole):
        return f"a part: the whole benchmark has {counted(whole[0], 'pair')}"
    return f"other pairs than the paper's, which are {whole[0]}"
