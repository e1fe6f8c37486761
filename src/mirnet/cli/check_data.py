"""``mirnet check-data``: what is missing or wrong with a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mirnet.choices import DataSetName, Split


def check_data(
    dataset: DataSetName,
    folder: Path,
    *,
    split: Annotated[tuple[Split, ...], Parameter(negative=())] = (),
) -> int:
    """Open every picture of a data set and name all that is missing or wrong.

    The exit status is 1 if training or scores would suffer. `pairs` and `clean` are folders of your
    own; the others are laid out as their publishers distribute them.

    Parameters
    ----------
    dataset
        Which data set it is.
    folder
        Where it lies; or what `mirnet prepare` made of it.
    split
        A part to look at; give it again for more. All that the data set has, unless told.
    """
    from mirnet.data.examination import examine
    from mirnet.data.sources import DATASETS, splits_in
    from mirnet.progress import bar
    from mirnet.units import counted

    data = DATASETS[dataset]
    with bar("opening pairs") as show:
        found = examine(folder, dataset, split or splits_in(folder, dataset), progress=show)
    for part, pairs in found.pairs.items():
        print(f"{part}: {counted(pairs, 'pair')}")
    for finding in found.findings:
        print(f"{'wrong' if finding.is_error else 'look '}  {finding.place}: {finding.what}")
    print(f"{data.title}: " + ("sound" if found.is_sound else f"as published: {data.layout}"))
    return 0 if found.is_sound else 1
