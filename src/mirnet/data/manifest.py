"""From a folder on disk to a checked list of pairs."""

from __future__ import annotations

from pathlib import Path

from mirnet.data.pair import Pair
from mirnet.errors import DataError, PhotoError
from mirnet.imaging.io import SUFFIXES, read_header

VIEW_FOLDERS = (("input",), ("inputL", "inputR"))
"""The folders that hold the views: a single one, or the left and right of dual-pixel data."""


def scan_pairs(folder: Path) -> tuple[Pair, ...]:
    """The pairs of a folder that holds ``input/`` (or ``inputL/`` and ``inputR/``) and ``target/``.

    Files match by name without suffix. Raises DataError that names the folder and up to three
    files without a partner, or when there are no pairs.
    """
    targets = _pictures(folder / "target", folder)
    view_names = next(
        (names for names in VIEW_FOLDERS if (folder / names[0]).is_dir()), VIEW_FOLDERS[0]
    )
    views = [_pictures(folder / name, folder) for name in view_names]
    for name, pictures in zip(view_names, views, strict=True):
        _require_partners(folder, name, pictures, "target", targets)
        _require_partners(folder, "target", targets, name, pictures)
    return tuple(
        Pair(id=stem, views=tuple(pictures[stem] for pictures in views), target=target)
        for stem, target in targets.items()
    )


def scan_clean(folder: Path) -> tuple[Pair, ...]:
    """The clean pictures of ``folder`` (or of its ``target/``) as pairs without views."""
    inner = folder / "target"
    pictures = _pictures(inner if inner.is_dir() else folder, folder)
    return tuple(Pair(id=stem, views=(), target=path) for stem, path in pictures.items())


def check_pairs(pairs: tuple[Pair, ...], *, at_least: int) -> None:
    """Read every header and refuse pairs of unequal or too small size.

    Args:
        pairs: what a scan found.
        at_least: the smallest height and width that training needs, in pixels.
    """
    for pair in pairs:
        sizes = {path: _size(path) for path in (*pair.views, pair.target)}
        target = sizes[pair.target]
        for path, size in sizes.items():
            if size != target:
                raise DataError(
                    f"{path}: is {size[0]}×{size[1]}, its target {pair.target} is "
                    f"{target[0]}×{target[1]}; the pictures of a pair must have the same size"
                )
        if min(target) < at_least:
            raise DataError(
                f"{pair.target}: is {target[0]}×{target[1]}, smaller than the largest patch "
                f"({at_least}); take the picture out or lower patch_size"
            )


def _pictures(folder: Path, dataset: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(
            f"{dataset}: has no folder {folder.name}/; a paired data set holds input/ and target/ "
            "with the same file names"
        )
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


def _require_partners(
    folder: Path, name: str, pictures: dict[str, Path], other: str, partners: dict[str, Path]
) -> None:
    alone = [path.name for stem, path in pictures.items() if stem not in partners]
    if alone:
        listed = ", ".join(alone[:3]) + (f" and {len(alone) - 3} more" if len(alone) > 3 else "")
        raise DataError(f"{folder}: {listed} in {name}/ has no partner in {other}/")


def _size(path: Path) -> tuple[int, int]:
    try:
        header = read_header(path)
    except PhotoError as error:
        raise DataError(str(error)) from error
    return header.width, header.height
