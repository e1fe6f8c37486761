"""Which photos a batch restores, and where to."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mirnet.choices import OutputDepth
from mirnet.errors import PhotoError
from mirnet.imaging.io import SUFFIXES, written_suffix
from mirnet.inference.views import partnered, unmarked

OTHER_SUFFIXES = frozenset((".3fr", ".bmp", ".exr", ".gif", ".jp2", ".jxl", ".psd", ".raw", ".x3f"))
"""Photos that aren't read: passed by in a folder, with a word."""
SKIPPED_FOLDERS = frozenset(("@eaDir", "__MACOSX", "$RECYCLE.BIN", "#recycle"))
"""Thumbnails and leftovers of other programs, like all hidden folders."""


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to restore.

    Attributes:
        source: the photo; of a dual-pixel photo in two files, the left view.
        target: the file to write.
        right: the right view, if it is a file of its own.
    """

    source: Path
    target: Path
    right: Path | None = None

    @property
    def sources(self) -> tuple[Path, ...]:
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
    faults: dict[Path, str] = field(default_factory=dict)
    left_alone: Counter[str] = field(default_factory=Counter)

    def refuse(self, path: str | Path, why: str) -> None:
        """Note that a path can't be restored."""
        self.faults.setdefault(Path(path), f"{path}: {why}")


def listed(file: Path) -> tuple[tuple[str, ...], Path]:
    """The paths in a text file, one a line, and the folder that all of them lie in.

    Raises OSError if it can't be read, PhotoError if it is no text or names nothing.
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
    return paths, Path(os.path.commonpath([_place(path).parent for path in paths]))


def plan(
    paths: Sequence[str],
    output: Path,
    *,
    suffix: str | None,
    depth: OutputDepth = "keep",
    views: int = 1,
    within: Path | None = None,
    may_be_empty: bool = False,
) -> Plan:
    """Find the photos and give each a place; what can't be done is noted and not raised.

    A folder is searched with all below it and mirrored as a tree. Results of an earlier run are
    not taken for photos. Where two photos would get one name by their new suffix, each keeps its
    old one before it: ``a.jpg`` beside ``a.png`` becomes ``a.jpg.png``.

    Args:
        paths: photos, folders or patterns.
        output: the folder for the results.
        suffix: of the results, with its dot; None keeps each photo's own, but for HEIC and RAW,
            which can't be written: see `written_suffix`.
        depth: of the results, which decides what such photos become.
        views: how many pictures make a photo: with 2, files that are named as the left and the
            right view of one are one job, without the mark in the result's name.
        within: a folder that photos named one by one lie in, which is mirrored as a tree; unless
            told, they go side by side into the output.
        may_be_empty: whether a folder without photos is no fault.
    """
    made = Plan()
    # Folders that are searched and don't hold the output: what lands there is found the next time.
    around = [each for each in map(Path, paths) if is_folder(each) and not _is_within(output, each)]
    found: _Found = {}
    for path in paths:
        try:
            for source, below in _photos(path, output, made, within, may_be_empty=may_be_empty):
                found.setdefault((os.path.realpath(source), below), (source, below))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            made.refuse(path, f"can't be read ({reason}); check the name")
    sources = {real for real, _ in found}
    rights: dict[Path, Path] = {}
    if views == 2:
        found, rights = _paired(found, made)
    stems = Counter(below.with_suffix("") for below in {below for _, below in found})
    taken: dict[Path, Path] = {}
    for (real, _), (source, below) in found.items():
        chosen = suffix or written_suffix(source, depth)
        target = output / _renamed(below, chosen, is_alone=stems[below.with_suffix("")] == 1)
        place = os.path.realpath(target)
        if place == real:
            made.refuse(source, "the output would be the input itself; name another folder with -o")
        elif place in sources or any(_is_within(target, folder) for folder in around):
            made.refuse(source, f"{target} would lie among the photos; name another folder with -o")
        elif (other := taken.setdefault(target, source)) != source:
            made.refuse(
                source, f"would become {target}, as {other} does; restore it apart, with -o"
            )
        else:
            made.jobs.append(Job(source, target, rights.get(source)))
    return made


_Found = dict[tuple[str, Path], tuple[Path, Path]]
"""By its real path and its place below the output: a photo's path, and that place."""


def _paired(found: _Found, made: Plan) -> tuple[_Found, dict[Path, Path]]:
    """The left views and what has no partner, without their marks; and the right view of each."""
    lefts: _Found = {}
    rights: dict[Path, Path] = {}
    known = {real for real, _ in found}
    for (real, below), (source, _) in found.items():
        match partnered(source):
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
    path: str, output: Path, made: Plan, within: Path | None, *, may_be_empty: bool
) -> Iterator[tuple[Path, Path]]:
    """The photos that a path means, each with its place below the output folder."""
    given = Path(path)
    if given.is_dir():
        yield from _below(given, output, made, may_be_empty=may_be_empty)
    elif given.exists() or given.is_symlink():
        yield given, _place(path).relative_to(within) if within else Path(given.name)
    elif glob.has_magic(path):
        yield from _matching(path, output, made)
    else:
        made.refuse(path, "there is no such photo or folder")


def _matching(pattern: str, output: Path, made: Plan) -> Iterator[tuple[Path, Path]]:
    """The photos that a pattern means; those in the output folder only if it begins there."""
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
        made.refuse(pattern, "matches no photos")
    yield from ((each, Path(each.name)) for each in photos)


def _without_magic(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts:
        if glob.has_magic(part):
            return
        yield part


def _below(
    folder: Path, output: Path, made: Plan, *, may_be_empty: bool
) -> Iterator[tuple[Path, Path]]:
    """The photos of a folder and of those below it, also by links, each folder once."""
    inner = _is_within(output, folder)
    if inner and _is_within(folder, output):
        made.refuse(folder, "the results would lie over the photos; name another folder with -o")
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
            if entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS:
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


def _place(path: str) -> Path:
    """The whole path without ``..``, by its letters alone."""
    return Path(os.path.normpath(Path(path).absolute()))


def is_folder(path: Path) -> bool:
    """Whether it is a folder; what can't be asked is none, and fails when it is read."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _is_within(path: Path, folder: Path) -> bool:
    real, around = os.path.realpath(path), os.path.realpath(folder)
    return real == around or real.startswith(around.rstrip(os.sep) + os.sep)
