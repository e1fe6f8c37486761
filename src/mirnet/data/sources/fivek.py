"""MIT-Adobe FiveK: photos and what expert C made of them, 4,500 and 500 (Sec. 4.6)."""

from __future__ import annotations

import re
from pathlib import Path

from mirnet.choices import Split
from mirnet.data.matching import first_folder
from mirnet.data.pair import Pair
from mirnet.data.sources.folders import match_folders
from mirnet.data.sources.spec import DataSet
from mirnet.errors import DataError

NEEDS = (
    "FiveK is exported by its users: input/ and expertC/ (or target/) with the names of the DNGs, "
    "a0001-jmac_DSC1459.tif"
)
NAME = re.compile(r"a(\d{4})(\D.*)?")
LAST_TRAINED = 4500
"""Photos above this number are tested on."""


def scan(folder: Path, split: Split) -> tuple[Pair, ...]:
    """The pairs of a split: by ``train.txt`` or ``test.txt``, or else by the photos' numbers."""
    if split == "val":
        raise DataError(f"{folder}: FiveK has no split val; it has train and test")
    root = first_folder(folder, split, ".") or folder
    views = first_folder(root, "input", "raw", "Input") or root / "input"
    target = first_folder(root, "expertC", "ExpertC", "C", "target") or root / "expertC"
    pairs = match_folders((views,), target, needed_by=NEEDS)
    names = root / f"{split}.txt"
    if names.is_file():
        return _listed(pairs, names)
    others = root / ("test.txt" if split == "train" else "train.txt")
    if others.is_file():  # the rest, so that no picture is in both
        named = {pair.id for pair in _listed(pairs, others)}
        return tuple(pair for pair in pairs if pair.id not in named)
    if root != folder:
        return pairs
    return tuple(pair for pair in pairs if (_number(pair) <= LAST_TRAINED) == (split == "train"))


def _number(pair: Pair) -> int:
    match = NAME.fullmatch(pair.id)
    if match is None:
        raise DataError(
            f"{pair.place}: is not named as a photo of FiveK (a0001-…), so its split is unknown; "
            "give train.txt and test.txt with names"
        )
    return int(match[1])


def _listed(pairs: tuple[Pair, ...], names: Path) -> tuple[Pair, ...]:
    by_name = {pair.id: pair for pair in pairs}
    wanted = [Path(line).stem for line in names.read_text("utf-8", errors="replace").split()]
    missing = [name for name in wanted if name not in by_name]
    if missing:
        raise DataError(f"{names}: names {missing[0]}, which is not there ({len(missing)} in all)")
    return tuple(by_name[name] for name in dict.fromkeys(wanted))


FIVEK = DataSet(
    name="fivek",
    title="MIT-Adobe FiveK",
    layout="{input,expertC}/a0001-jmac_DSC1459.png, as exported; optional train.txt, test.txt",
    scan=scan,
    counts={"train": (4500,), "test": (500,)},
    terms="Adobe research licence",
)
