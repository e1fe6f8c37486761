"""Sizes and times as people write them."""

from __future__ import annotations

import re
from decimal import Decimal

from mirnet.errors import MirnetError

_FACTORS = {
    "": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4,
    "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
}  # fmt: skip


def parse_bytes(text: str, *, name: str) -> int:
    """Bytes from ``"2GiB"``, ``"1.5 GB"``, ``"500M"`` or ``"1000000"``.

    Raises MirnetError that begins with ``name`` if it is none of these, or not above 0.
    """
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*([kmgt]i?)?b?", text.strip().lower())
    size = int(Decimal(match[1]) * _FACTORS[match[2] or ""]) if match else 0
    if size < 1:
        raise MirnetError(f"{name}: must be a size such as 2GiB or 500MB, got {text!r}")
    return size


def counted(number: int, noun: str) -> str:
    """``1 pair``, ``2 pairs``."""
    return f"{number} {noun}{'s' * (number != 1)}"


def in_bytes(size: float) -> str:
    """``1.2 GiB``, or ``85 MiB`` for what is less than one."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(size, 0) / 2**20:.0f} MiB"


def in_time(seconds: float) -> str:
    """``5 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
