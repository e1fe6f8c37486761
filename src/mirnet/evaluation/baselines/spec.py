"""What a classical method is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mirnet.choices import BaselineName
from mirnet.data.pair import Pair

Picture = NDArray[np.float64]
"""``(H, W, 3)`` RGB in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A method without training.

    Attributes:
        name: what users type, and its row in a table.
        source: who published it.
        restore: ``(pair, views (1, C, H, W)) → (1, 3, H, W)``; of several views the first counts.
        packages: what it is computed with.
        needs_target: whether it looks at the target, to show what is possible.
    """

    name: BaselineName
    source: str
    restore: Callable[[Pair, Tensor], Tensor]
    packages: tuple[str, ...]
    needs_target: bool = False


def of_picture(restore: Callable[[Picture], Any]) -> Callable[[Pair, Tensor], Tensor]:
    """A method that sees the picture alone."""
    return lambda _, views: as_tensor(restore(as_picture(views)))


def as_picture(views: Tensor) -> Picture:
    """``(1, C, H, W)`` → the first view, as NumPy libraries take it."""
    picture: Picture = views[0, :3].permute(1, 2, 0).double().cpu().numpy()
    return picture


def as_tensor(picture: Picture) -> Tensor:
    """``(H, W, 3)`` → ``(1, 3, H, W)``."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, 2, 0))).float()[None]
