"""DND: 1,000 boxes of 50 photos, whose targets its server keeps (Sec. 4.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.choices import Split
from mirnet.data.mat import Mat73Picture, open_hdf5
from mirnet.data.matching import first_folder
from mirnet.data.pair import Pair
from mirnet.data.picture import Box, Region
from mirnet.data.sources.spec import DataSet
from mirnet.errors import DataError

VARIABLE = "InoisySRGB"


def scan(folder: Path, split: Split) -> tuple[Pair, ...]:
    """The boxes of every photo, in the publisher's order; pairs without a target."""
    if split != "test":
        raise DataError(f"{folder}: DND has no split {split}; it has test, without targets")
    root = first_folder(folder, "dnd_2017", ".") or folder
    pairs = []
    for number, boxes in enumerate(read_boxes(root / "info.mat"), start=1):
        path = root / "images_srgb" / f"{number:04d}.mat"
        if not path.is_file():
            raise DataError(f"{path}: is missing; DND holds info.mat and images_srgb/0001.mat …")
        whole = Mat73Picture(path, VARIABLE)
        height, width = whole.layout().size
        for place, region in enumerate(boxes, start=1):
            if region.top + region.height > height or region.left + region.width > width:
                raise DataError(f"{path}: is {height}×{width}, and box {place} leaves it")
            views = (Box(whole, region),)
            pairs.append(Pair(id=f"{number:04d}-{place:02d}", views=views, target=None))
    return tuple(pairs)


def read_boxes(info: Path) -> list[list[Region]]:
    """The boxes of each photo that ``info.mat`` names."""
    with open_hdf5(info) as file:
        try:
            references = np.ravel(file["info"]["boundingboxes"][()])
            return [[_region(box) for box in np.array(file[each]).T] for each in references]
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise DataError(f"{info}: holds no info.boundingboxes; fetch it again") from error


def _region(box: NDArray[Any]) -> Region:
    """First row, first column, last row, last column, from 1 and both ends in."""
    top, left, bottom, right = (int(value) for value in box)
    if not (1 <= top <= bottom and 1 <= left <= right):
        raise ValueError(f"no box: {box}")
    return Region(top - 1, left - 1, bottom - top + 1, right - left + 1)


DND = DataSet(
    name="dnd",
    title="DND",
    layout="info.mat, images_srgb/0001.mat … 0050.mat",
    scan=scan,
    counts={"test": (1000,)},
    terms="research; scored by its server",
)
