"""Which photos a batch restores, and where to."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import takewhile
from pathlib import Path

from mirnet.choices import OutputDepth
from mirnet.errors import PhotoError
from mirnet.imaging.io import written_suffix
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.places import (
    Address,
    Location,
    absolute,
    identity,
    is_folder,
    is_special,
    is_within,
    placed,
)
from mirnet.inference.searching import photos_of
from mirnet.inference.views import partnered, unmarked


def listed(file: Path) -> tuple[tuple[str, ...], Location]:
    """The paths or addresses in a text file, one a line, and the folder that all of them lie in.

    Raises OSError if it can't be read, PhotoError if it is no text, names nothing, or names both.
    """
    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise PhotoError(
            f"{file}: is no text in UTF-8; give a list of paths, one a line"
        ) from error
    paths = tuple(_unspaced(line.removesuffix("\r")) for line in lines if line.strip())
    if not paths:
        raise PhotoError(f"{file}: names no photos; it should be a list of paths, one a line")
    places = [placed(path) for path in paths]
    addresses = [place for place in places if isinstance(place, Address)]
    if not addresses:
        return paths, Path(os.path.commonpath([absolute(path).parent for path in paths]))
    if len(addresses) < len(places):
        raise PhotoError(f"{file}: names both paths and addresses; make two lists of it")
    common = _common(address.parent.parts for address in addresses)
    if len(common) < 2:
        raise PhotoError(f"{file}: names photos of several stores; make a list for each")
    return paths, Address(f"{common[0]}://{'/'.join(common[1:])}")


def _unspaced(line: str) -> str:
    """An address without the blanks around it; a path may have such."""
    return line.strip() if "://" in line else line


def _common(tuples: Iterable[tuple[str, ...]]) -> list[str]:
    """With what all of them begin."""
    columns = zip(*tuples, strict=False)
    return [column[0] for column in takewhile(lambda each: len(set(each)) == 1, columns)]


def plan(
    paths: Sequence[str],
    output: Location,
    *,
    suffix: str | None,
    depth: OutputDepth = "keep",
    views: int = 1,
    within: Location | None = None,
    may_be_empty: bool = False,
) -> Plan:
    """Find the photos and give each a place; what can't be done is noted and not raised.

    A folder is searched with all below it and mirrored as a tree. Results of an earlier run are
    not taken for photos. Where two photos would get one name by their new suffix, each keeps its
    old one before it: ``a.jpg`` beside ``a.png`` becomes ``a.jpg.png``.

    An address whose name ends as a photo's does is a photo, any other a folder; the two views of a
    photo are not looked for in stores, and no patterns are taken there.

    Args:
        paths: photos, folders or patterns, or addresses of the first two.
        output: the folder for the results, or its address.
        suffix: of the results, with its dot; None keeps each photo's own, but for HEIC and RAW,
            which can't be written: see `written_suffix`.
        depth: of the results, which decides what such photos become.
        views: how many pictures make a photo: with 2, files that are named as the left and the
            right view of one are one job, without the mark in the result's name.
        within: a folder that photos named one by one lie in, which is mirrored as a tree; unless
            told, they go side by side into the output.
        may_be_empty: whether a folder without photos is no fault.

    Raises:
        PhotoError: an address holds a password, or can't be followed.
        MissingDependencyError: what reads a store is not installed.
    """
    made = Plan()
    # Folders that are searched and don't hold the output: what lands there is found the next time.
    places = [placed(path) for path in paths]
    around = [each for each in places if is_folder(each) and not is_within(output, each)]
    found: _Found = {}
    for place in places:
        try:
            for source, below in photos_of(place, output, made, within, may_be_empty=may_be_empty):
                found.setdefault((identity(source), below), (source, below))
        except PhotoError as error:
            made.faults.setdefault(place, str(error))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            made.refuse(place, f"can't be read ({reason}); check the name")
    sources = {real for real, _ in found}
    rights: dict[Location, Path] = {}
    if views == 2:
        found, rights = _paired(found, made)
    stems = Counter(_folded(below.with_suffix("")) for below in {below for _, below in found})
    taken: dict[str, Location] = {}
    for (real, _), (source, below) in found.items():
        if isinstance(source, Path) and is_special(source):
            made.refuse(source, "is a pipe, a socket or a device; name a photo")
            continue
        chosen = suffix or _written_suffix(source, depth)
        is_alone = stems[_folded(below.with_suffix(""))] == 1
        target = output / _renamed(below, chosen, is_alone=is_alone)
        at = identity(target)
        if at == real:
            made.refuse(source, "the output would be the input itself; name another folder with -o")
        elif at in sources or any(is_within(target, folder) for folder in around):
            made.refuse(source, f"{target} would lie among the photos; name another folder with -o")
        elif (other := taken.setdefault(_as_disk(target), source)) != source:
            made.refuse(
                source, f"would become {target}, as {other} does; restore it apart, with -o"
            )
        else:
            made.jobs.append(Job(source, target, rights.get(source)))
    return made


_Found = dict[tuple[str, Path], tuple[Location, Path]]
"""By its real path and its place below the output: a photo's path, and that place."""


def _paired(found: _Found, made: Plan) -> tuple[_Found, dict[Location, Path]]:
    """The left views and what has no partner, without their marks; and the right view of each."""
    lefts: _Found = {}
    rights: dict[Location, Path] = {}
    known = {real for real, _ in found}
    for (real, below), (source, _) in found.items():
        match None if isinstance(source, Address) else partnered(source):
            case None:
                lefts[real, below] = source, below
            case ("left", right, level):
                place = unmarked(below, level)
                lefts[real, place], rights[source] = (source, place), right
            case (_, left, _) if os.path.realpath(left) not in known:
                made.refuse(source, f"is a right view; name the left one too, {left}")
    return lefts, rights


def _renamed(below: Path, suffix: str | None, *, is_alone: bool) -> Path:
    """The place of a result below the output folder; it may have namesakes of other suffixes."""
    if suffix is None:
        return below
    if is_alone or below.suffix.lower() == suffix:
        return below.with_suffix(suffix)
    return below.with_name(below.name + suffix)


def _folded(place: Location) -> str:
    """One for all that a disk may take for one name."""
    return unicodedata.normalize("NFC", str(place)).casefold()


def _as_disk(place: Location) -> str:
    """One for all that this system's disks take for one name, as they come."""
    if not isinstance(place, Address) and sys.platform == "darwin":
        return _folded(place)
    is_windows = not isinstance(place, Address) and sys.platform == "win32"
    return str(place).upper() if is_windows else str(place)


def _written_suffix(source: Location, depth: OutputDepth) -> str | None:
    """As `written_suffix`; a header that is in a store is not read for it."""
    if isinstance(source, Address):
        return written_suffix(Path(os.devnull, source.name), depth)
    with suppress(OSError):  # which is told when it is read
        found = source.stat()
        return _remembered_suffix(source, depth, found.st_size, found.st_mtime_ns)
    return written_suffix(source, depth)


@lru_cache(1 << 16)
def _remembered_suffix(source: Path, depth: OutputDepth, *_: int) -> str | None:
    """As `written_suffix`, of a file of this size and time: folders are looked through often."""
    return written_suffix(source, depth)
