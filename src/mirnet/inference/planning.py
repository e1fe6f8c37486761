"""Which photos a batch restores, and where to."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from mirnet.choices import OutputDepth
from mirnet.errors import PhotoError
from mirnet.imaging.io import SUFFIXES, written_suffix
from mirnet.inference.stores import Address, Location, files_below, placed, require_client
from mirnet.inference.views import partnered, unmarked

OTHER_SUFFIXES = frozenset((".3fr", ".bmp", ".exr", ".gif", ".jp2", ".jxl", ".psd", ".raw", ".x3f"))
"""Photos that aren't read: passed by in a folder, with a word."""
SKIPPED_FOLDERS = frozenset(("@eaDir", "__MACOSX", "$RECYCLE.BIN", "#recycle"))
"""Thumbnails and leftovers of other programs, like all hidden folders."""
OVER_THE_PHOTOS = "the results would lie over the photos; name another folder with -o"


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to restore.

    Attributes:
        source: the photo; of a dual-pixel photo in two files, the left view.
        target: the file to write.
        right: the right view, if it is a file of its own.
    """

    source: Location
    target: Location
    right: Location | None = None

    @property
    def sources(self) -> tuple[Location, ...]:
        """The files that it is made from."""
        return (self.source,) if self.right is None else (self.source, self.right)


@dataclass(slots=True)
class Plan:
    """What a batch will do.

    Attributes:
        jobs: the photos, each with where it goes to.
        faults: what was named and can't be done, one line each, by its path.
        left_alone: how many files of kinds that aren't read lie in the folders, by suffix.
    """

    jobs: list[Job] = field(default_factory=list)
    faults: dict[Location, str] = field(default_factory=dict)
    left_alone: Counter[str] = field(default_factory=Counter)

    def refuse(self, place: Location, why: str) -> None:
        """Note that what is at a place can't be restored."""
        self.faults.setdefault(place, f"{place}: {why}")


def listed(file: Path) -> tuple[tuple[str, ...], Location]:
    """The paths or addresses in a text file, one a line, and the folder that all of them lie in.

    Raises OSError if it can't be read, PhotoError if it is no text, names nothing, or names both.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise PhotoError(
            f"{file}: is no text in UTF-8; give a list of paths, one a line"
        ) from error
    paths = tuple(line for line in lines if line.strip())
    if not paths:
        raise PhotoError(f"{file}: names no photos; it should be a list of paths, one a line")
    places = [placed(path) for path in paths]
    addresses = [place for place in places if isinstance(place, Address)]
    if not addresses:
        return paths, Path(os.path.commonpath([_place(path).parent for path in paths]))
    if len(addresses) < len(places):
        raise PhotoError(f"{file}: names both paths and addresses; make two lists of it")
    common = _common(address.parent.parts for address in addresses)
    if len(common) < 2:
        raise PhotoError(f"{file}: names photos of several stores; make a list for each")
    return paths, Address(f"{common[0]}://{'/'.join(common[1:])}")


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
    around = [each for each in places if is_folder(each) and not _is_within(output, each)]
    found: _Found = {}
    for place in places:
        try:
            for source, below in _photos(place, output, made, within, may_be_empty=may_be_empty):
                found.setdefault((_real(source), below), (source, below))
        except PhotoError as error:
            made.faults.setdefault(place, str(error))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            made.refuse(place, f"can't be read ({reason}); check the name")
    sources = {real for real, _ in found}
    rights: dict[Location, Path] = {}
    if views == 2:
        found, rights = _paired(found, made)
    stems = Counter(below.with_suffix("") for below in {below for _, below in found})
    taken: dict[Location, Location] = {}
    for (real, _), (source, below) in found.items():
        chosen = suffix or _written_suffix(source, depth)
        target = output / _renamed(below, chosen, is_alone=stems[below.with_suffix("")] == 1)
        at = _real(target)
        if at == real:
            made.refuse(source, "the output would be the input itself; name another folder with -o")
        elif at in sources or any(_is_within(target, folder) for folder in around):
            made.refuse(source, f"{target} would lie among the photos; name another folder with -o")
        elif (other := taken.setdefault(target, source)) != source:
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


def _photos(
    given: Location, output: Location, made: Plan, within: Location | None, *, may_be_empty: bool
) -> Iterator[tuple[Location, Path]]:
    """The photos that a path means, each with its place below the output folder."""
    if isinstance(given, Address):
        yield from _stored(given, output, made, within)
    elif given.is_dir():
        yield from _below(given, output, made, may_be_empty=may_be_empty)
    elif given.exists() or given.is_symlink():
        folder = within if isinstance(within, Path) else None
        yield given, _place(given).relative_to(folder) if folder else Path(given.name)
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
        yield from _safe(given, Path(below), made)
        return
    inner, count = _is_within(output, given), 0
    if inner and _is_within(given, output):
        made.refuse(given, OVER_THE_PHOTOS)
        return
    for address, place in files_below(given):
        if any(_is_hidden(part) for part in place.parts):
            continue
        if address.suffix.lower() in OTHER_SUFFIXES:
            made.left_alone[address.suffix.lower()] += 1
        elif address.suffix.lower() in SUFFIXES and not (inner and _is_within(address, output)):
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
    ours = None if _is_within(fixed, output) else output
    matches = [Path(each) for each in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207
    photos = [
        each
        for each in matches
        if each.suffix.lower() in SUFFIXES
        and not (ours and _is_within(each, ours))
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
    inner = _is_within(output, folder)
    if inner and _is_within(folder, output):
        made.refuse(folder, OVER_THE_PHOTOS)
        return
    visited: set[str] = set()
    known = len(made.faults)
    waiting, links, count = [folder], list[Path](), 0
    while waiting or links:
        # Links last, so that a folder is found at its own place rather than through one.
        here = waiting.pop() if waiting else links.pop(0)
        real = os.path.realpath(here)
        if real in visited or (inner and _is_within(here, output)):
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


def _place(path: str | Path) -> Path:
    """The whole path without ``..``, by its letters alone."""
    return Path(os.path.normpath(Path(path).absolute()))


def is_folder(path: Location) -> bool:
    """Whether it is a folder; what can't be asked is none, and fails when it is read.

    In a store, what has not the name of a photo is one.
    """
    if isinstance(path, Address):
        return path.suffix.lower() not in SUFFIXES
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _is_within(path: Location, folder: Location) -> bool:
    real, around = _real(path), _real(folder)
    return real == around or real.startswith(around.rstrip(os.sep) + os.sep)


def _written_suffix(source: Location, depth: OutputDepth) -> str | None:
    """As `written_suffix`; a header that is in a store is not read for it."""
    if isinstance(source, Address):
        source = Path(os.devnull, source.name)
    return written_suffix(source, depth)


def _real(place: Location) -> str:
    """What tells it from all others."""
    return place.text if isinstance(place, Address) else os.path.realpath(place)
