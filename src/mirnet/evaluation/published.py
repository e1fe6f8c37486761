"""The paper's tables as data: what a measured score stands beside."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

OURS = "MIRNet-v2"
"""The row of the paper's own network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the paper.

    Attributes:
        number: of the table, 1 to 11.
        title: what it compares, and on what unless ``data`` says it.
        section: of the paper that discusses it.
        columns: ``"HEADING/METRIC"``, or the metric alone.
        rows: for each method, in the paper's order, a value for each column.
        data: what the paper's ablations were scored on.
        note: what one has to know to read it rightly.
    """

    number: int
    title: str
    section: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float, ...]]
    data: str = ""
    note: str = ""

    @property
    def source(self) -> str:
        """Where it stands."""
        return f"Zamir et al., TPAMI 2022, Table {self.number} (Sec. {self.section})"

    def value(self, method: str, column: str) -> float | None:
        """What the paper gives for a method in a column; None where it gives nothing."""
        if method not in self.rows or column not in self.columns:
            return None
        return self.rows[method][self.columns.index(column)]


@cache
def published() -> dict[int, Table]:
    """All tables of the paper, by number."""
    text = (Path(__file__).parent / "published.toml").read_text("utf-8")
    return {each["number"]: _table(**each) for each in tomllib.loads(text)["tables"]}


def _table(columns: list[str], rows: list[list[str | float]], **rest: Any) -> Table:
    values = {str(name): tuple(map(float, numbers)) for name, *numbers in rows}
    return Table(columns=tuple(columns), rows=values, **rest)
