"""Which files are the two views of one dual-pixel photo, told by their names.

``IMG_L.png`` and ``IMG_R.png``, in one folder; or files of one name in folders beside each other,
as ``inputL/`` and ``inputR/``, or ``test_l/source/`` and ``test_r/source/``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, NamedTuple

from mirnet.imaging.photo import Photo

Views = tuple[Photo, ...]
"""What goes into a network together: a photo, or the left and the right view of one."""
Side = Literal["left", "right"]

MARK = re.compile(r"(^|[_\-. ]|(?<=[a-z0-9])(?=[LR]))((?i:left|right|l|r))$")
"""The end of a name that tells the side, and what parts it from the rest."""
OTHER = {"l": "r", "r": "l", "left": "right", "right": "left"}
DEPTH = 3
"""Parts of a path, from the file's name up, that may tell the side."""


class Partnered(NamedTuple):
    """A view that has a partner.

    Attributes:
        side: its own.
        partner: the other view, which is there.
        level: the part of the path that tells: 0 for the file's name, 1 for its folder's.
    """

    side: Side
    partner: Path
    level: int


def partnered(path: Path) -> Partnered | None:
    """The side and the partner of a view; None for a picture that has none by its name."""
    names = path.stem, *reversed(path.absolute().parts[-DEPTH:-1])
    for level, name in enumerate(names):
        if (mark := MARK.search(name)) is None:
            continue
        partner = _renamed(path, level, name[: mark.start(2)] + _other(mark[2]))
        if partner.is_file():
            side: Side = "left" if mark[2].lower().startswith("l") else "right"
            return Partnered(side, partner, level)
    return None


def unmarked(below: Path, level: int) -> Path:
    """A place below a folder without the name's mark, for what is made of both views.

    A folder whose name is nothing but a mark falls away; a file keeps its name then.
    """
    if level >= len(below.parts):
        return below
    name = below.stem if level == 0 else below.parts[-1 - level]
    rest = MARK.sub("", name)
    if rest:
        return _renamed(below, level, rest)
    return below if level == 0 else Path(*below.parts[: -1 - level], *below.parts[-level:])


def _renamed(path: Path, level: int, name: str) -> Path:
    if level == 0:
        return path.with_name(name + path.suffix)
    full = path if level < len(path.parts) else path.absolute()
    return Path(*full.parts[: -1 - level], name, *full.parts[-level:])


def _other(mark: str) -> str:
    other = OTHER[mark.lower()]
    if mark.isupper():
        return other.upper()
    return other.capitalize() if mark[0].isupper() else other
