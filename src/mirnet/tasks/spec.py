"""What a task is: data that parameterise the engines, which know no tasks."""

from __future__ import annotations

from dataclasses import dataclass

from mirnet.choices import BenchmarkName, ProtocolName, TaskName
from mirnet.evaluation.benchmarks import BENCHMARKS
from mirnet.models.config import MIRNetV2Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of the paper's restoration tasks.

    Attributes:
        name: what users type.
        summary: what it does, in one line.
        config: the paper's network for it.
        benchmarks: the paper's for it, which are data sets too.
        weights: the catalog's name of the weights that are used by default.
        views: pictures that go in together; 2 for the halves of a dual-pixel photo.
    """

    name: TaskName
    summary: str
    config: MIRNetV2Config
    benchmarks: tuple[BenchmarkName, ...]
    weights: str
    views: int = 1

    @property
    def protocols(self) -> tuple[ProtocolName, ...]:
        """Names of the protocols that its benchmarks are scored by, but for those of servers."""
        protocols = (BENCHMARKS[name].protocol for name in self.benchmarks)
        return tuple(protocol for protocol in protocols if protocol is not None)
