"""What is scored: a network, another program's pictures, or a classical method."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirnet.data.matching import pictures_in
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture, file_stamp
from mirnet.environment import code_sha256, file_sha256, versions
from mirnet.errors import DataError
from mirnet.imaging.quantize import to_planes
from mirnet.inference.restorer import Restorer

OF_A_RUN = ("model", "best")
"""What `mirnet train` calls weights, whatever the run."""

Restore = Callable[[Tensor], Tensor]
"""``(1, C, H, W)`` in [0, 1] → ``(1, 3, H, W)``: a Restorer, or anything to compare it to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to restore pictures, and what tells it from others.

    Attributes:
        name: its row in a table.
        identity: plain values that are equal only for methods of equal results.
        restore: ``(pair, views (1, C, H, W)) → (1, 3, H, W)``. The pair is for methods that look
            up its name, or its target to show what is possible.
        stamp: changes when what it gives for a pair changes otherwise than by its identity.
    """

    name: str
    identity: Mapping[str, Any]
    restore: Callable[[Pair, Tensor], Tensor]
    stamp: Callable[[Pair], str] = lambda pair: ""


def place_sha256(folder: Path) -> str:
    """Tells folders of one name apart, without saying where they lie."""
    return hashlib.sha256(os.fsencode(folder.expanduser().resolve())).hexdigest()


def place_name(folder: Path) -> str:
    """Its name after that of the folder it is in, if that is not the root."""
    place = folder.expanduser().resolve()
    return "-".join(place.relative_to(place.anchor).parts[-2:])


def made_by(method: Method) -> dict[str, Any]:
    """All that its results depend on beside the data: what must not change within a folder."""
    return {
        "method": dict(method.identity),
        "code_sha256": code_sha256(),
        "versions": versions(),
    }


def by_network(restorer: Restorer, weights: Path) -> Method:
    """A network with the weights of a file, named after it; what a run left, after the run too."""
    stem = weights.stem
    return Method(
        name=f"{weights.parent.resolve().name}-{stem}" if stem in OF_A_RUN else stem,
        identity={
            "kind": "network",
            "weights": file_sha256(weights),
            "device": restorer.device.type,
            "precision": str(restorer.dtype).removeprefix("torch."),
        },
        restore=lambda _, views: restorer(views),
    )


def by_pictures(folder: Path) -> Method:
    """The pictures that any program left in a folder, named as the pairs.

    Raises DataError if there is no picture in it.
    """
    found = pictures_in(folder, needed_by="it is to hold the restored pictures")

    def picture(pair: Pair) -> FilePicture:
        if pair.id not in found:
            first = next(iter(found.values())).name
            raise DataError(
                f"{folder}: has no picture {pair.id} (its first is {first}); restore that one too, "
                "or name all as the pairs"
            )
        return FilePicture(found[pair.id])

    def restore(pair: Pair, views: Tensor) -> Tensor:
        return torch.from_numpy(to_planes(_of_size(picture(pair), views)))[None]

    place = folder.resolve()
    # Another program mirrors names: "input" would stand for two rows of a page.
    name = place_name(folder) if place.name in ("input", "target") else place.name
    return Method(
        name=name,
        identity={"kind": "pictures", "folder": name, "place_sha256": place_sha256(folder)},
        restore=restore,
        stamp=lambda pair: file_stamp(found[pair.id]) if pair.id in found else "",
    )


def _of_size(picture: FilePicture, views: Tensor) -> Any:
    pixels = picture.pixels()
    height, width = views.shape[-2:]
    if pixels.shape[:2] != (height, width):
        raise DataError(
            f"{picture.place}: is {pixels.shape[1]}×{pixels.shape[0]}, its pair is "
            f"{width}×{height}; restored pictures must have the size of their targets"
        )
    return pixels
