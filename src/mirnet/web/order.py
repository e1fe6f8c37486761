"""What a client asks for: the options of one photo, as text fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self, get_args

from mirnet.choices import FileDepth, FileFormat, TaskName
from mirnet.errors import MirnetError
from mirnet.inference.treatment import ENLARGEMENTS, Treatment

_BOOLEANS = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A part of a picture, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    def middle(self, height: int, width: int, most: int) -> Self:
        """At most ``most`` pixels a side around its middle, within a picture of this size."""
        wide, high = (min(self.width, most, width), min(self.height, most, height))
        x = min(max(self.x + (self.width - wide) // 2, 0), width - wide)
        y = min(max(self.y + (self.height - high) // 2, 0), height - high)
        return type(self)(x=x, y=y, width=wide, height=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The options of one photo; see ``mirnet restore --help``, which has the same.

    Attributes:
        visible: what the client looks at now; a part of it is restored first.
    """

    task: TaskName | None = None
    weights: str | None = None
    strength: float = 1.0
    chroma_only: bool = False
    detail: float = 0.0
    enlarge: int = 1
    depth: FileDepth = "keep"
    format: FileFormat = "keep"
    quality: int | None = None
    allow_damaged: bool = False
    visible: Box | None = None

    @classmethod
    def of_fields(cls, texts: Mapping[str, str]) -> Self:
        """From the fields of a form; what is empty is as if it were left out.

        Raises MirnetError, which names the field, for an unknown one or a value out of its range.
        """
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {}
        for name, text in texts.items():
            if name not in known:
                raise MirnetError(
                    f"{name[:40]}: is no option; there are {', '.join(sorted(known))}"
                )
            if text:
                values[name] = _READERS[name](name, text)
        order = cls(**values)
        _ = order.treatment  # its ranges
        return order

    @property
    def treatment(self) -> Treatment:
        """What is done around the network. Raises MirnetError for a value out of its range."""
        try:
            return Treatment(
                strength=self.strength,
                chroma_only=self.chroma_only,
                detail=self.detail,
                enlarge=self.enlarge,
            )
        except ValueError as error:
            raise MirnetError(str(error)) from error


def in_fields(line: str) -> str:
    """A line that names the fields of an order where it named options of the command line."""
    return _OPTION.sub(lambda match: match[1].replace("-", "_"), line)


_OPTION = re.compile(
    rf"--({'|'.join(field.name.replace('_', '-') for field in fields(Order))})(?![\w-])"
)


def _choice(kind: Any) -> Callable[[str, str], str]:
    allowed = get_args(kind)

    def read(name: str, text: str) -> str:
        if text not in allowed:
            raise MirnetError(f"{name}: must be one of {', '.join(allowed)}, got {text[:40]!r}")
        return text

    return read


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise MirnetError(f"{name}: must be true or false, got {text[:40]!r}")
    return _BOOLEANS[text.lower()]


def _share(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise MirnetError(f"{name}: must be a number from 0 to 1, got {text[:40]!r}")
    return value


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not (re.fullmatch(r"[0-9]{1,9}", text) and low <= int(text) <= high):
            raise MirnetError(f"{name}: must be from {low} to {high}, got {text[:40]!r}")
        return int(text)

    return read


def _box(name: str, text: str) -> Box:
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9}){3}", text):
        raise MirnetError(f"{name}: is x,y,width,height in whole pixels, got {text[:40]!r}")
    x, y, width, height = map(int, text.split(","))
    if not (width and height):
        raise MirnetError(f"{name}: must have a width and a height, got {text[:40]!r}")
    return Box(x=x, y=y, width=width, height=height)


_READERS: dict[str, Callable[[str, str], Any]] = {
    "task": _choice(TaskName),
    "weights": lambda _, text: text,
    "strength": _share,
    "chroma_only": _boolean,
    "detail": _share,
    "enlarge": _whole(ENLARGEMENTS[0], ENLARGEMENTS[-1]),
    "depth": _choice(FileDepth),
    "format": _choice(FileFormat),
    "quality": _whole(1, 100),
    "allow_damaged": _boolean,
    "visible": _box,
}
