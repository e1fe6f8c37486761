"""Which photos a path, a pattern or an address means."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path

from mirnet.imaging.io import SUFFIXES
from mirnet.inference.clients import require_client
from mirnet.inference.jobs import Plan
from mirnet.inference.places import Address, Location, absolute, is_folder, is_within
from mirnet.inference.stores import files_below, place_of

OTHER_SUFFIXES = frozenset((
    ".3fr", ".bmp", ".crw", ".erf", ".exr", ".gif", ".gpr", ".iiq", ".jp2", ".jxl", ".mrw", ".psd",
    ".raw", ".rwl", ".sr2", ".x3f",
))  # fmt: skip
"""Photos that aren't read: passed by in a folder, with a word."""
SKIPPED_FOLDERS = frozenset(("@eaDir", "__MACOSX", "$RECYCLE.BIN", "#recycle"))
"""Thumbnails and leftovers of other programs, like all hidden folders."""
OVER_THE_PHOTOS = "the results would lie over the photos; name another folder with -o"


def photos_of(
    given: Location, output: Location, made: Plan, within: Location | None, *, may_be_empty: bool
) -> Iterator[tuple[Location, Path]]:
    """The photos that a path or an address means, each with its place below the output folder.

    What can't be restored is noted in the plan.

    Args:
        given: a photo, a folder, or a pattern.
        output: the folder for the results; what lies in it is no photo.
        made: the plan, for what is refused or left alone.
        within: a folder that photos named one by one lie in, if their places are to mirror it.
        may_be_empty: whether a folder without photos is no fault.

    Raises:
        PhotoError: a store can't be listed.
        MissingDependencyError: what reads a store is not installed.
        OSError: the path can't be asked for.
        ValueError: the path can't be one.
    """
    if isinstance(given, Address):
        yield from _stored(given, output, made, within)
    elif given.is_dir():
        yield from _below(given, output, made, may_be_empty=may_be_empty)
    elif given.exists() or given.is_symlink():
        folder = within if isinstance(within, Path) else None
        yield given, absolute(given).relative_to(folder) if folder else Path(given.name)
    elif glob.has_magic(str(given)):
        yield from _matching(given, output, made)
    else:
        made.refuse(given, "there is no such photo or folder")


def _stored(
    given: Address, output: Location, made: Plan, within: Location | None
) -> Iterator[tuple[Address, Path]]:
    """The photos that an address means; whether one that is named is there shows when it comes."""
    require_client(given.protocol)
    if not is_folder(given):
        below = given.relative_to(within) if isinstance(within, Address) else given.name
        yield from _safe(given, Path(place_of(given, below)), made)
        return
    inner, count = is_within(output, given), 0
    if inner and is_within(given, output):
        made.refuse(given, OVER_THE_PHOTOS)
        return
    for address, place in files_below(given):
        if any(_is_hidden(part) for part in place.parts):
            continue
        if address.suffix.lower() in OTHER_SUFFIXES:
            made.left_alone[address.suffix.lower()] += 1
        elif address.suffix.lower() in SUFFIXES and not (inner and is_within(address, output)):
            count += 1
            yield from _safe(address, Path(place), made)
    if not count:
        made.refuse(given, f"holds no photos ({', '.join(sorted(SUFFIXES))}), or is not there")


def _safe(address: Address, below: Path, made: Plan) -> Iterator[tuple[Address, Path]]:
    """It, if its place is below the output folder: stores take any letters for a name."""
    if below.is_absolute() or ".." in below.parts or "\0" in str(below):
        made.refuse(address, "has a name that no file here can have; rename it")
    else:
        yield address, below


def _matching(given: Path, output: Location, made: Plan) -> Iterator[tuple[Path, Path]]:
    """The photos that a pattern means; those in the output folder only if it begins there."""
    pattern = str(given)
    fixed = Path(*_without_magic(Path(pattern).parts))
    ours = None if is_within(fixed, output) else output
    matches = [Path(each) for each in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    photos = [
        each
        for each in matches
        if each.suffix.lower() in SUFFIXES
        and not (ours and is_within(each, ours))
        and not SKIPPED_FOLDERS.intersection(each.parts)
        and not is_folder(each)
    ]
    made.left_alone.update(
        each.suffix.lower() for each in matches if each.suffix.lower() in OTHER_SUFFIXES
    )
    if not photos:
        made.refuse(given, "matches no photos")
    yield from ((each, Path(each.name)) for each in photos)


def _without_magic(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts:
        if glob.has_magic(part):
            return
        yield part


def _below(
    folder: Path, output: Location, made: Plan, *, may_be_empty: bool
) -> Iterator[tuple[Path, Path]]:
    """The photos of a folder and of those below it, also by links, each folder once."""
    if is_within(output, folder) and is_within(folder, output):
        made.refuse(folder, OVER_THE_PHOTOS)
        return
    ours = None if is_within(folder, output) else output
    visited: set[str] = set()
    known = len(made.faults)
    waiting, links, count = [folder], list[Path](), 0
    while waiting or links:
        # Links last, so that a folder is found at its own place rather than through one.
        here = waiting.pop() if waiting else links.pop(0)
        real = os.path.realpath(here)
        if real in visited or (ours and is_within(here, ours)):  # by a link, too
            continue
        visited.add(real)
        try:
            entries = sorted(here.iterdir(), key=lambda entry: entry.name)
        except OSError as error:
            made.refuse(here, f"can't be listed ({error.strerror}); check its permissions")
            continue
        for entry in entries:
            if _is_hidden(entry.name):
                continue
            if is_folder(entry):
                (links if entry.is_symlink() else waiting).append(entry)
            elif entry.suffix.lower() in SUFFIXES:
                count += 1
                yield entry, entry.relative_to(folder)
            elif entry.suffix.lower() in OTHER_SUFFIXES:
                made.left_alone[entry.suffix.lower()] += 1
    if not (count or may_be_empty) and len(made.faults) == known:
        made.refuse(folder, f"holds no photos ({', '.join(sorted(SUFFIXES))})")


def _is_hidden(name: str) -> bool:
    return (name.startswith(".") and name != "..") or name in SKIPPED_FOLDERS
