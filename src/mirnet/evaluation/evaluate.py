"""Score a restorer on pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mirnet.choices import ProtocolName
from mirnet.data.checking import require_targets
from mirnet.data.pair import Pair
from mirnet.data.picture import Pixels, digest
from mirnet.data.sources import find_pairs
from mirnet.errors import DataError
from mirnet.imaging.quantize import to_planes
from mirnet.metrics.protocol import PROTOCOLS, Protocol, score

Restore = Callable[[Tensor], Tensor]
"""``(1, C, H, W)`` in [0, 1] → ``(1, 3, H, W)``: a Restorer, or anything to compare it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one method on one set of pairs.

    Attributes:
        protocol: the name of the protocol they were measured by.
        data_sha256: of the pictures scored, in order, however they are stored.
        images: metric values for each pair's id.
    """

    protocol: ProtocolName
    data_sha256: str
    images: dict[str, dict[str, float]]

    def means(self) -> dict[str, float]:
        """The mean of each metric over the pairs, as the paper's tables give it."""
        return mean_scores(self.images)


def mean_scores(images: dict[str, dict[str, float]]) -> dict[str, float]:
    """The mean of each metric over images, of which there is at least one."""
    rows = list(images.values())
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def evaluate_folder(restore: Restore, folder: Path, protocol: ProtocolName) -> Scores:
    """Score on the pairs of a folder with ``input/`` and ``target/``.

    Raises DataError for an incomplete folder.
    """
    return evaluate(restore, find_pairs(folder, split="test"), PROTOCOLS[protocol])


def evaluate(restore: Restore, pairs: Sequence[Pair], protocol: Protocol) -> Scores:
    """Score on these pairs, one after the other, by ``protocol``.

    Raises DataError, with the pair's place, for one that the network can't take or the protocol
    can't score, or that has no target.
    """
    require_targets(pairs, of=f"protocol {protocol.name}")
    images = {}
    content = hashlib.sha256()
    for pair in pairs:
        pictures = [picture.pixels() for picture in pair.pictures()]
        views, target = as_tensors(pictures)
        try:
            values = score(restore(views).cpu(), target, protocol)
        except ValueError as error:
            raise DataError(
                f"{pair.place}: can't be restored or scored as {protocol.name}: {error}"
            ) from error
        images[pair.id] = {name: float(value[0]) for name, value in values.items()}
        for pixels in pictures:
            content.update(digest(pixels).encode())
    return Scores(protocol=protocol.name, data_sha256=content.hexdigest(), images=images)


def load_pair(pair: Pair) -> tuple[Tensor, Tensor]:
    """The views ``(1, 3·views, H, W)`` and the target ``(1, 3, H, W)`` of a pair, in [0, 1]."""
    return as_tensors([picture.pixels() for picture in pair.pictures()])


def as_tensors(pictures: Sequence[Pixels]) -> tuple[Tensor, Tensor]:
    """Views, then a target, as a network takes them: see `load_pair`."""
    *views, target = [torch.from_numpy(to_planes(pixels))[None] for pixels in pictures]
    return torch.cat(views, dim=1), target
