"""Data sets: one short file for each, and the list of them all."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from mirnet.choices import DataSetName, Split
from mirnet.data.packed import is_packed, read_packed, scan_packed
from mirnet.data.pair import Pair
from mirnet.data.sources.dnd import DND
from mirnet.data.sources.dpdd import DPDD
from mirnet.data.sources.fivek import FIVEK
from mirnet.data.sources.folders import CLEAN, PAIRS, scan_whole_pairs
from mirnet.data.sources.lol import LOL
from mirnet.data.sources.realsr import REALSR
from mirnet.data.sources.sidd import SIDD
from mirnet.data.sources.spec import DataSet
from mirnet.errors import DataError

DATASETS: dict[DataSetName, DataSet] = {
    data.name: data for data in (PAIRS, CLEAN, DPDD, SIDD, DND, *REALSR, LOL, FIVEK)
}


SPLITS: tuple[Split, ...] = get_args(Split)


def splits_in(folder: Path, dataset: DataSetName) -> tuple[Split, ...]:
    """The splits that a folder has, or is to have if it is a published data set."""
    folder = folder.expanduser()
    packed = tuple(split for split in SPLITS if is_packed(folder, split))
    if packed or DATASETS[dataset].counts:
        return packed or tuple(DATASETS[dataset].counts)
    return tuple(split for split in SPLITS if (folder / split).is_dir()) or ("train",)


def left_out(folder: Path, split: Split) -> dict[str, str]:
    """Why each pair that `prepare` could not read is not among those that it packed."""
    folder = folder.expanduser()
    return read_packed(folder / split).unreadable if is_packed(folder, split) else {}


def whole_pairs(folder: Path, split: Split) -> tuple[tuple[Pair, ...], dict[str, str]]:
    """The whole pairs in a folder of one's own, and why each other one, by its name, is none.

    What is to be scored needs no more; what is to be learnt from is better mended, see
    `find_pairs`. Raises DataError if the folder, or one that it needs, is not there or empty.
    """
    folder = folder.expanduser()
    if not folder.is_dir() or is_packed(folder, split):
        return find_pairs(folder, "pairs", split), left_out(folder, split)
    return scan_whole_pairs(folder, split)


def find_pairs(
    folder: Path, dataset: DataSetName = "pairs", split: Split = "train"
) -> tuple[Pair, ...]:
    """The pairs of a data set's split in ``folder``, as published, kept, or packed by `prepare`.

    Raises DataError that names the folder and what is missing in it.
    """
    folder = folder.expanduser()
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder")
    if is_packed(folder, split):
        return scan_packed(folder, dataset, split)
    return DATASETS[dataset].scan(folder, split)
