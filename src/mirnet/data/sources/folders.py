"""People's own data: folders of pairs, and folders of clean pictures."""

from __future__ import annotations

from pathlib import Path

from mirnet.choices import Split
from mirnet.data.matching import first_folder, pictures_in, require_partners
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture
from mirnet.data.sources.spec import DataSet

NEEDS = "a paired data set holds input/ (or inputL/ and inputR/) and target/, with equal names"


def scan_pairs(folder: Path, split: Split) -> tuple[Pair, ...]:
    """The pairs of ``folder``, or of its folder ``split``, if there is one.

    Files match by name without suffix.
    """
    folder = first_folder(folder, split) or folder
    has_two = (folder / "inputL").is_dir()
    return match_folders(
        tuple(folder / name for name in (("inputL", "inputR") if has_two else ("input",))),
        folder / "target",
        needed_by=NEEDS,
    )


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
