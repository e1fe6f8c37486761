"""DPDD: dual-pixel defocus, 350, 74 and 76 scenes of 16-bit PNG (Sec. 4.3)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from mirnet.choices import Split
from mirnet.data.matching import first_folder, pictures_in, require_partners
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture
from mirnet.data.sources.folders import match_folders
from mirnet.data.sources.spec import DataSet
from mirnet.errors import DataError

NEEDS = (
    "DPDD holds dd_dp_dataset_canon/{train,val,test}_{c,l,r}/source and target/ under _c, or "
    "{train,val,test}/DPDD/{inputL,inputR,target}"
)
GROUPS = ("indoor", "outdoor")
NUMBER = re.compile(r"\d+$")
FURTHEST = 2
"""The number of a target is this close to its source's in all 500 scenes."""


def scan(folder: Path, split: Split) -> tuple[Pair, ...]:
    """The left and right views and the targets of a split; test scenes know where they were taken.

    In the publisher's layout, source and target of a scene have different names and belong
    together by their order.
    """
    root = first_folder(folder, "dd_dp_dataset_canon", ".") or folder
    kept = first_folder(root, f"{split}/DPDD", split)
    if kept is not None and (kept / "inputL").is_dir():
        pairs = match_folders((kept / "inputL", kept / "inputR"), kept / "target", needed_by=NEEDS)
    else:
        pairs = _published(root, split)
    if split != "test":
        return pairs
    places = (root, root / split, *(() if kept is None else (kept,)))
    return _grouped(pairs, next(filter(_has_labels, places), root))


def _published(root: Path, split: Split) -> tuple[Pair, ...]:
    left, right, target = (
        root / f"{split}_l" / "source",
        root / f"{split}_r" / "source",
        root / f"{split}_c" / "target",
    )
    for folder in (left, right, target):
        if not folder.is_dir():
            raise DataError(f"{root}: has no folder {folder.relative_to(root)}; {NEEDS}")
    lefts, rights, targets = (pictures_in(each, needed_by=NEEDS) for each in (left, right, target))
    require_partners({left: lefts, right: rights})
    for source, clean in zip(lefts, targets, strict=False):
        if abs(_number(source) - _number(clean)) > FURTHEST:
            raise DataError(
                f"{left}: {source} and {target / clean} don't belong together; a picture is "
                "missing before one of them"
            )
    if len(lefts) != len(targets):
        raise DataError(f"{target}: holds {len(targets)} pictures, {left} holds {len(lefts)}")
    return tuple(
        Pair(
            id=source,
            views=(FilePicture(lefts[source]), FilePicture(rights[source])),
            target=FilePicture(clean),
        )
        for source, clean in zip(lefts, targets.values(), strict=True)
    )


def _number(name: str) -> int:
    found = NUMBER.search(name)
    return int(found.group()) if found else 0


def _has_labels(folder: Path) -> bool:
    return (folder / f"{GROUPS[0]}_labels.npy").is_file()


def _grouped(pairs: tuple[Pair, ...], root: Path) -> tuple[Pair, ...]:
    """The pairs with their groups, if ``indoor_labels.npy`` and ``outdoor_labels.npy`` are there.

    They hold places in the sorted list of test scenes, from 0.
    """
    groups: dict[int, str] = {}
    for group in GROUPS:
        path = root / f"{group}_labels.npy"
        if not path.is_file():
            return pairs
        try:
            labels = np.load(path, allow_pickle=False).ravel()
        except (ValueError, OSError, EOFError) as error:
            raise DataError(f"{path}: is no array of numbers; fetch it again") from error
        groups |= {int(label): group for label in labels}
    if sorted(groups) != list(range(len(pairs))):
        raise DataError(
            f"{root}: the indoor and outdoor labels are for {len(groups)} scenes, and there are "
            f"{len(pairs)}; take both from the publisher"
        )
    return tuple(replace(pair, group=groups[number]) for number, pair in enumerate(pairs))


DPDD = DataSet(
    name="dpdd",
    title="DPDD",
    layout="dd_dp_dataset_canon/{train,val,test}_{c,l,r}/source/*.png, target/ under _c",
    scan=scan,
    counts={"train": (350,), "val": (74,), "test": (76,)},
    depth="16",
    views=2,
    terms="MIT",
)
