"""Values of a recipe that check themselves: a range stands in the type of its field."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, get_args, get_type_hints

from cyclopts import Parameter, Token

from mirnet.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Within:
    """The range of a number, or of each number of a tuple.

    Attributes:
        low: the smallest value.
        high: the largest.
        is_open: whether the ends themselves are out of range.
    """

    low: float
    high: float = math.inf
    is_open: bool = False

    def __contains__(self, value: Any) -> bool:
        """Whether a value is in range; NaN and infinity never are."""
        if not math.isfinite(value):
            return False
        return bool(
            self.low < value < self.high if self.is_open else self.low <= value <= self.high
        )

    def __str__(self) -> str:
        """The rule, to go after "must be"."""
        if self.high == math.inf:
            return f"above {self.low:g}" if self.is_open else f"at least {self.low:g}"
        if self.is_open:
            return f"above {self.low:g} and below {self.high:g}"
        return f"from {self.low:g} to {self.high:g}"


def _whole(_: Any, tokens: tuple[Token, ...]) -> int:
    """A whole number as it is written: 1.5 is none, though cyclopts would round it."""
    written = tokens[0].value
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise ValueError(f'"{written}" is not a whole number')
    return int(number) if "e" in written.lower() or "." in written else int(written)


Whole = Annotated[int, Parameter(converter=_whole)]


class Checked:
    """A part of a recipe. Its fields are in the ranges of their types, or RecipeError is raised."""

    PLACE: ClassVar[str]
    """What stands before the names of its fields: ``"optim."``."""

    def __post_init__(self) -> None:
        """Check every field that has a range."""
        for name, kind, within in _ranges(type(self)):
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if number is None:
                    continue
                if not isinstance(number, kind) or isinstance(number, bool):
                    what = "a whole number" if kind is int else "a number"
                    raise self.fault(name, f"must be {what}, got {number!r}")
                if number not in within:
                    raise self.fault(name, f"must be {within}, got {number!r}")

    def fault(self, name: str, why: str) -> RecipeError:
        """The error that names a field of this part."""
        return RecipeError(f"{self.PLACE}{name}: {why}")


def _ranges(part: type) -> tuple[tuple[str, type | tuple[type, ...], Within], ...]:
    """The fields of a part that have a range, with the type of their numbers."""
    hints = get_type_hints(part, include_extras=True)
    found = []
    for each in fields(part):
        for within in get_args(hints[each.name])[1:]:
            if isinstance(within, Within):
                is_whole = "int" in str(get_args(hints[each.name])[0])
                kind: type | tuple[type, ...] = int if is_whole else (int, float)
                found.append((each.name, kind, within))
    return tuple(found)
