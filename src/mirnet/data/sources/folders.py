"""People's own data: folders of pairs, and folders of clean pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mirnet.choices import Split
from mirnet.data.matching import first_folder, pictures_in, require_partners, without_partner
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture
from mirnet.data.sources.spec import DataSet

NEEDS = "a paired data set holds input/ (or inputL/ and inputR/) and target/, with equal names"


def scan_pairs(folder: Path, split: Split) -> tuple[Pair, ...]:
    """The pairs of ``folder``, or of its folder ``split``, if there is one.

    Files match by name without suffix. Raises DataError if one has no partner.
    """
    return match_folders(*_folders(folder, split), needed_by=NEEDS)


def scan_whole_pairs(folder: Path, split: Split) -> tuple[tuple[Pair, ...], dict[str, str]]:
    """The pairs as `scan_pairs` finds them, and why each other picture makes none."""
    views, target = _folders(folder, split)
    found = {each: pictures_in(each, needed_by=NEEDS) for each in (target, *views)}
    alone = without_partner(found)
    whole = {
        each: {name: path for name, path in pictures.items() if name not in alone}
        for each, pictures in found.items()
    }
    return _paired(whole, views, target), alone


def _folders(folder: Path, split: Split) -> tuple[tuple[Path, ...], Path]:
    """The folders of the views, and of the targets."""
    folder = first_folder(folder, split) or folder
    names = ("inputL", "inputR") if (folder / "inputL").is_dir() else ("input",)
    return tuple(folder / name for name in names), folder / "target"


def scan_clean(folder: Path, split: Split) -> tuple[Pair, ...]:
    """The clean pictures of ``folder``, or of its ``split``, ``target``; pairs without views."""
    folder = first_folder(folder, f"{split}/target", split, "target") or folder
    pictures = pictures_in(folder, needed_by="it is to hold clean pictures")
    return tuple(
        Pair(id=name, views=(), target=FilePicture(path)) for name, path in pictures.items()
    )


def match_folders(views: tuple[Path, ...], target: Path, *, needed_by: str) -> tuple[Pair, ...]:
    """Pairs of the pictures of equal names in all these folders. Raises DataError if one lacks."""
    found = {folder: pictures_in(folder, needed_by=needed_by) for folder in (target, *views)}
    require_partners(found)
    return _paired(found, views, target)


def _paired(
    found: Mapping[Path, Mapping[str, Path]], views: tuple[Path, ...], target: Path
) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            id=name,
            views=tuple(FilePicture(found[folder][name]) for folder in views),
            target=FilePicture(path),
        )
        for name, path in found[target].items()
    )


PAIRS = DataSet(
    name="pairs",
    title="pairs of your own",
    layout="[train|val|test/]{input,target}/NAME.png, or inputL and inputR for two views",
    scan=scan_pairs,
)
CLEAN = DataSet(
    name="clean",
    title="clean pictures of your own",
    layout="[train|val|test/][target/]NAME.png",
    scan=scan_clean,
)
