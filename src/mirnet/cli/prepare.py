"""``mirnet prepare``: a data set, packed so that training reads crops without decoding."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mirnet.choices import DataSetName, Split


def prepare(
    dataset: DataSetName,
    folder: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    split: Annotated[tuple[Split, ...], Parameter(negative=())] = (),
) -> int:
    """Pack a data set once, for all runs: training then reads crops without decoding pictures.

    It says how much room it takes, and goes on where it was stopped. Name the packed folder in
    recipes and commands instead of the data set.

    Parameters
    ----------
    dataset
        Which data set it is.
    folder
        Where it lies, as published.
    output
        The folder for what is packed.
    split
        A part to pack; give it again for more. All that the data set has, unless told.
    """
    from mirnet.data.packing import bytes_needed, pack
    from mirnet.data.sources import find_pairs, splits_in
    from mirnet.progress import bar

    failures = 0
    for part in split or splits_in(folder, dataset):
        pairs = find_pairs(folder, dataset, part)
        needed = bytes_needed(pairs) / 1e9
        print(f"{part}: {len(pairs)} pairs take {needed:.2f} GB in {output / part}")
        with bar(f"packing {part}") as show:
            packed = pack(pairs, output, dataset=dataset, split=part, progress=show)
        for name, why in packed.unreadable.items():
            print(f"left out {name}: {why}", file=sys.stderr)
        failures += len(packed.unreadable)
    return 1 if failures else 0
