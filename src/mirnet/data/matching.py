"""Pictures in folders, and which belong together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mirnet.errors import DataError
from mirnet.imaging.io import SUFFIXES


def pictures_in(folder: Path, *, needed_by: str) -> dict[str, Path]:
    """The photo files of a folder by their names without suffix, in order of their names.

    Raises DataError if there is no such folder, no picture in it, or two of one name; ``needed_by``
    says what it is for.
    """
    if not folder.is_dir():
        raise DataError(f"{folder.parent}: has no folder {folder.name}/; {needed_by}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise DataError(f"{path}: has the same name as {found[path.stem].name}; keep one")
        found[path.stem] = path
    if not found:
        raise DataError(f"{folder}: holds no pictures ({', '.join(sorted(SUFFIXES))})")
    return found


def require_partners(folders: Mapping[Path, Iterable[str]]) -> None:
    """Raise DataError, with up to three names, if a name is in one of the folders and not in all.

    Args:
        folders: each with the names of its pictures.
    """
    names = {folder: set(found) for folder, found in folders.items()}
    for folder, here in names.items():
        for other, there in names.items():
            if alone := sorted(here - there):
                raise DataError(
                    f"{folder}: {partnerless(alone)} in {other}",
                    places=tuple(str(folder / name) for name in alone),
                )


def without_partner(folders: Mapping[Path, Mapping[str, Path]]) -> dict[str, str]:
    """Why each name that is not in all of these folders makes no pair, in order of the names.

    Args:
        folders: each with its pictures by their names.
    """
    why = {}
    for name in sorted(set().union(*folders.values())):
        here = [found[name] for found in folders.values() if name in found]
        lacking = [folder for folder, found in folders.items() if name not in found]
        if lacking:
            why[name] = f"{here[0]}: has no partner in {lacking[0]}"
    return why


def first_folder(root: Path, *candidates: str) -> Path | None:
    """The first of these folders below ``root`` (or itself, for ``"."``) that is there."""
    return next((root / name for name in candidates if (root / name).is_dir()), None)


def partnerless(names: Sequence[str]) -> str:
    """Says of these names that they have no partner."""
    return f"{listed(names)} {'has' if len(names) == 1 else 'have'} no partner"


def listed(names: Iterable[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
