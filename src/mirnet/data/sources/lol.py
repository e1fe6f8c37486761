"""LoL: low light, 485 pairs to train on and 15 to test on (Sec. 4.6)."""

from __future__ import annotations

from pathlib import Path

from mirnet.choices import Split
from mirnet.data.matching import first_folder
from mirnet.data.pair import Pair
from mirnet.data.sources.folders import match_folders
from mirnet.data.sources.spec import DataSet
from mirnet.errors import DataError

ROOTS = (".", "LOLdataset", "LOL")
FOLDERS: dict[Split, str] = {"train": "our485", "test": "eval15"}


def scan(folder: Path, split: Split) -> tuple[Pair, ...]:
    """The pairs of ``our485`` (train) or ``eval15`` (test), by equal names."""
    if split not in FOLDERS:
        raise DataError(f"{folder}: LoL has no split {split}; it has train and test")
    part = first_folder(folder, *(f"{root}/{FOLDERS[split]}" for root in ROOTS))
    part = part or folder / FOLDERS[split]
    needs = "LoL holds our485/{low,high} and eval15/{low,high}"
    return match_folders((part / "low",), part / "high", needed_by=needs)


LOL = DataSet(
    name="lol",
    title="LoL",
    layout="our485/{low,high}/2.png, eval15/{low,high}/1.png",
    scan=scan,
    counts={"train": (485,), "test": (15,)},
    depth="8",
    terms="research",
)
