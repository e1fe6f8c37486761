"""The names of the protocols. Here, so that the command line needs no torch."""

from __future__ import annotations

from typing import Literal

ProtocolName = Literal[
    "photo", "sidd", "realsr-x2", "realsr-x3", "realsr-x4", "lol", "fivek", "dpdd"
]
