"""What a task is: data that parameterise the engines, which know no tasks."""

from __future__ import annotations

from dataclasses import dataclass

from mirnet.choices import DataSetName, ProtocolName, TaskName
from mirnet.models.config import MIRNetV2Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of the paper's restoration tasks.

    Attributes:
        name: what users type.
        summary: what it does, in one line.
        config: the paper's network for it.
        views: pictures that go in together; 2 for the halves of a dual-pixel photo.
        protocols: names of the protocols that its benchmarks are scored by.
        datasets: the paper's data sets for it.
        weights: the catalog's name of the weights that are used by default; None while there are
            none.
    """

    name: TaskName
    summary: str
    config: MIRNetV2Config
    protocols: tuple[ProtocolName, ...]
    datasets: tuple[DataSetName, ...]
    views: int = 1
    weights: str | None = None
