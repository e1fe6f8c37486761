"""SIDD: noise of phones, 320 pairs to train on and 1,280 blocks to validate on (Sec. 4.4)."""

from __future__ import annotations

import re
from pathlib import Path

from mirnet.choices import Split
from mirnet.data.mat import MatBlock, blocks_layout
from mirnet.data.matching import first_folder, listed
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture
from mirnet.data.sources.spec import DataSet
from mirnet.errors import DataError

NOISY, CLEAN = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb"
SCENE = re.compile(r"\d{4}_\d{3}_(GP|IP|S6|N6|G4)_\d{5}_\d{5}_\d{4}_[LNH]")
"""Instance, scene, phone, ISO, shutter, temperature, light."""
PICTURE = re.compile(r"(\d{4}_)?(NOISY|GT)_SRGB_(\d{3})\.PNG", re.IGNORECASE)
PLACES = (".", "SIDD_Medium_Srgb", "SIDD_Small_sRGB_Only")
LIST = "Scene_Instances.txt"


def scan(folder: Path, split: Split) -> tuple[Pair, ...]:
    """The pairs of the scene folders (train), or the blocks of the validation files (val)."""
    if split == "test":
        raise DataError(f"{folder}: SIDD's test set has no targets; it has train and val")
    return _scenes(folder) if split == "train" else _blocks(folder)


def _scenes(folder: Path) -> tuple[Pair, ...]:
    data = first_folder(folder, *(f"{place}/Data" for place in PLACES)) or folder
    scenes = {path.name: path for path in sorted(data.iterdir()) if SCENE.fullmatch(path.name)}
    if not scenes:
        raise DataError(
            f"{folder}: has no scene folders such as Data/0001_001_S6_00100_00060_3200_L; give the "
            "folder of SIDD Medium or Small, sRGB"
        )
    index = data.parent / LIST
    if index.is_file():
        named = index.read_text("utf-8", errors="replace").split()
        if missing := [name for name in named if SCENE.fullmatch(name) and name not in scenes]:
            verb = "is" if len(missing) == 1 else "are"
            raise DataError(
                f"{data}: {listed(missing)} {verb} missing, of the scenes that {LIST} names",
                places=tuple(str(data / name) for name in missing),
            )
    return tuple(pair for scene in scenes.values() for pair in _pairs(scene))


def _pairs(scene: Path) -> list[Pair]:
    """One pair (Small) or two (Medium)."""
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(scene.iterdir()):
        if match := PICTURE.fullmatch(path.name):
            found.setdefault(match[3], {})[match[2].upper()] = path
    if not found:
        raise DataError(f"{scene}: holds no …NOISY_SRGB_010.PNG; fetch the scene again")
    for number, kinds in found.items():
        if missing := {"NOISY", "GT"} - kinds.keys():
            raise DataError(f"{scene}: has no {missing.pop()}_SRGB_{number}.PNG, but its partner")
    return [
        Pair(
            id=f"{scene.name}_{number}",
            views=(FilePicture(kinds["NOISY"]),),
            target=FilePicture(kinds["GT"]),
        )
        for number, kinds in found.items()
    ]


def _blocks(folder: Path) -> tuple[Pair, ...]:
    noisy, clean = (folder / f"{name}.mat" for name in (NOISY, CLEAN))
    if (one := blocks_layout(noisy, NOISY)) != (other := blocks_layout(clean, CLEAN)):
        raise DataError(f"{noisy}: holds blocks of {one[:5]}, {clean} of {other[:5]}; fetch both")
    return tuple(
        Pair(
            id=f"{scene + 1:04d}-{block + 1:02d}",
            views=(MatBlock(noisy, NOISY, scene, block),),
            target=MatBlock(clean, CLEAN, scene, block),
        )
        for scene in range(one[0])
        for block in range(one[1])
    )


SIDD = DataSet(
    name="sidd",
    title="SIDD",
    layout="SIDD_Medium_Srgb/Data/0001_…/0001_NOISY_SRGB_010.PNG; Validation…BlocksSrgb.mat",
    scan=scan,
    counts={"train": (320, 160), "val": (1280,)},
    depth="8",
    terms="MIT",
)
