"""Score a restorer on pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mirnet.choices import ProtocolName
from mirnet.data.manifest import scan_pairs
from mirnet.data.pair import Pair
from mirnet.errors import DataError
from mirnet.imaging.io import read_photo
from mirnet.imaging.quantize import to_planes
from mirnet.metrics.protocol import PROTOCOLS, Protocol, score

Restore = Callable[[Tensor], Tensor]
"""``(1, C, H, W)`` in [0, 1] → ``(1, 3, H, W)``: a Restorer, or anything to compare it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one method on one set of pairs.

    Attributes:
        protocol: the name of the protocol they were measured by.
        data_sha256: of the files scored, in order.
        images: metric values for each pair's id.
    """

    protocol: ProtocolName
    data_sha256: str
    images: dict[str, dict[str, float]]

    def means(self) -> dict[str, float]:
        """The mean of each metric over the pairs, as the paper's tables give it."""
        rows = list(self.images.values())
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def evaluate_folder(restore: Restore, folder: Path, protocol: ProtocolName) -> Scores:
    """Score on the pairs of a folder with ``input/`` and ``target/``.

    Raises DataError for an incomplete folder.
    """
    return evaluate(restore, scan_pairs(folder), PROTOCOLS[protocol])


def evaluate(restore: Restore, pairs: Iterable[Pair], protocol: Protocol) -> Scores:
    """Score on these pairs, one after the other, by ``protocol``.

    Raises DataError, with the pair's path, for one that the network can't take or the protocol
    can't score.
    """
    images = {}
    digest = hashlib.sha256()
    for pair in pairs:
        views, target = load_pair(pair)
        try:
            values = score(restore(views).cpu(), target, protocol)
        except ValueError as error:
            raise DataError(
                f"{pair.target}: can't be restored or scored as {protocol.name}: {error}"
            ) from error
        images[pair.id] = {name: float(value[0]) for name, value in values.items()}
        for path in (*pair.views, pair.target):
            digest.update(path.read_bytes())
    return Scores(protocol=protocol.name, data_sha256=digest.hexdigest(), images=images)


def load_pair(pair: Pair) -> tuple[Tensor, Tensor]:
    """The views ``(1, 3·views, H, W)`` and the target ``(1, 3, H, W)`` of a pair, in [0, 1]."""
    *views, target = [
        torch.from_numpy(to_planes(read_photo(path).pixels))[None]
        for path in (*pair.views, pair.target)
    ]
    return torch.cat(views, dim=1), target
