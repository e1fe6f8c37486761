"""RealSR: pairs of real optical zoom at ×2, ×3 and ×4, of equal size (Sec. 4.5)."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from mirnet.choices import Split
from mirnet.data.matching import first_folder, partnerless, pictures_in
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture
from mirnet.data.sources.folders import match_folders
from mirnet.data.sources.spec import DataSet
from mirnet.errors import DataError

CAMERAS = ("Canon", "Nikon")
ROOTS = ("RealSR(V3)", "RealSR (Final)", "RealSR", ".")
NAME = re.compile(r"(?P<stem>.+)_(?P<kind>HR|LR(?P<scale>[234]))", re.IGNORECASE)
TRAINED = {2: 183, 3: 234, 4: 178}
TESTED = 30


def scan(scale: int, folder: Path, split: Split) -> tuple[Pair, ...]:
    """The pairs of a scale, of both cameras; or of ``HR/`` and ``LR/`` folders of equal names."""
    if split == "val":
        raise DataError(f"{folder}: RealSR has no split val; it has train and test")
    kept = first_folder(
        folder, *(f"{split}/{name}" for name in (f"{scale}", f"x{scale}", f"X{scale}", "."))
    )
    if kept is not None and (kept / "HR").is_dir():
        needs = "RealSR's pairs lie in LR/ and HR/ with equal names"
        return match_folders((kept / "LR",), kept / "HR", needed_by=needs)
    root = next(root for name in ROOTS if (root := folder / name) and _has_camera(root, name))
    part = Path(split.title()) / str(scale)
    folders = [root / camera / part for camera in CAMERAS if (root / camera / part).is_dir()]
    if not folders:
        raise DataError(
            f"{folder}: has no {CAMERAS[0]}/{part} and no {split}/{scale}/{{HR,LR}}; RealSR holds "
            "{Canon,Nikon}/{Train,Test}/{2,3,4}/Canon_001_HR.png and Canon_001_LR2.png"
        )
    return tuple(pair for each in folders for pair in _published(each, scale))


def _has_camera(root: Path, name: str) -> bool:
    return name == "." or any((root / camera).is_dir() for camera in CAMERAS)


def _published(folder: Path, scale: int) -> list[Pair]:
    high: dict[str, Path] = {}
    low: dict[str, Path] = {}
    for name, path in pictures_in(folder, needed_by="RealSR holds Train/2 and so on").items():
        match = NAME.fullmatch(name)
        if match is None or match["scale"] not in (None, str(scale)):
            raise DataError(f"{path}: is no picture of ×{scale}; take it out")
        (low if match["scale"] else high)[match["stem"]] = path
    if alone := sorted(high.keys() ^ low.keys()):
        raise DataError(
            f"{folder}: {partnerless(alone)} (…_HR and …_LR{scale})",
            places=tuple(str(folder / stem) for stem in alone),
        )
    return [
        Pair(id=stem, views=(FilePicture(low[stem]),), target=FilePicture(path))
        for stem, path in high.items()
    ]


def _of_scale(scale: int) -> DataSet:
    return DataSet(
        name=f"realsr-x{scale}",  # type: ignore[arg-type]
        title=f"RealSR ×{scale}",
        layout=f"RealSR(V3)/{{Canon,Nikon}}/{{Train,Test}}/{scale}/Canon_001_{{HR,LR{scale}}}.png",
        scan=partial(scan, scale),
        counts={"train": (TRAINED[scale],), "test": (TESTED,)},
        depth="8",
        terms="research",
    )


REALSR = tuple(_of_scale(scale) for scale in TRAINED)
