"""``mirnet prepare``: a data set, packed so that training reads crops without decoding."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mirnet.choices import DataSetName, Split
from mirnet.errors import DataError


def prepare(
    dataset: DataSetName,
    folder: Path,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    split: Annotated[tuple[Split, ...], Parameter(negative=())] = (),
    fetch: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    sha256: Annotated[tuple[str, ...], Parameter(negative=())] = (),
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
    fetch
        The address of an archive or file of the data set, from its publisher's page; it is fetched
        into the folder first, and unpacked there. Give it again for more.
    sha256
        What each fetched file is to hash to, in the same order.
    """
    from mirnet.data.packing import bytes_needed, pack
    from mirnet.data.sources import find_pairs, splits_in
    from mirnet.progress import bar
    from mirnet.units import counted

    if sha256 and len(sha256) != len(fetch):
        raise DataError(f"--sha256: {len(sha256)} sums for {len(fetch)} files; give one for each")
    for number, url in enumerate(fetch):
        _fetch_and_unpack(url, folder, sha256[number] if sha256 else None)
    failures = 0
    for part in split or splits_in(folder, dataset):
        pairs = find_pairs(folder, dataset, part)
        needed = bytes_needed(pairs) / 1e9
        print(f"{part}: {counted(len(pairs), 'pair')}, {needed:.2f} GB in {output / part}")
        with bar(f"packing {part}") as show:
            packed = pack(pairs, output, dataset=dataset, split=part, progress=show)
        for name, why in packed.unreadable.items():
            print(f"left out {name}: {why}", file=sys.stderr)
        failures += len(packed.unreadable)
    return 1 if failures else 0


def _fetch_and_unpack(url: str, folder: Path, sha256: str | None) -> None:
    """Fetch a file into the folder; unpack it there if it is an archive."""
    from urllib.parse import unquote, urlsplit

    from mirnet.data.fetching import fetch
    from mirnet.data.unpacking import SUFFIXES, unpack
    from mirnet.progress import bar

    name = Path(unquote(urlsplit(url).path)).name
    if not name:
        raise DataError(f"{url}: names no file; fetch it yourself into {folder}")
    path = folder.expanduser() / name
    with bar(f"fetching {name}, bytes") as show:
        found = fetch(url, path, sha256=sha256, progress=lambda there, of: show(there, of or there))
    print(f"{path}: SHA-256 {found}" + ("" if sha256 else ", which was not checked"))
    if name.lower().endswith(SUFFIXES):
        with bar(f"unpacking {name}") as show:
            unpack(path, folder.expanduser(), progress=show)
