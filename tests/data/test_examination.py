from pathlib import Path

import numpy as np
import pytest

from mirnet.choices import DataSetName, Split
from mirnet.data.examination import Examination, examine
from mirnet.data.packing import pack
from mirnet.data.sources import DATASETS, find_pairs, splits_in
from tests.data import publishers
from tests.data.publishers import picture, put, worse

ALL: tuple[Split, ...] = ("train", "val", "test")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Four pairs to train on, two to validate on, nothing wrong with them."""
    for split, numbers in (("train", range(4)), ("val", range(4, 6))):
        for number in numbers:
            put(tmp_path / split / "target" / f"{number}.png", picture(number))
            put(tmp_path / split / "input" / f"{number}.png", worse(picture(number), number))
    return tmp_path


def look(folder: Path, dataset: DataSetName = "pairs") -> Examination:
    return examine(folder, dataset, splits_in(folder, dataset))


def told(found: Examination, *, errors: bool = True) -> list[tuple[str, str]]:
    return [(each.place, each.what) for each in found.findings if each.is_error == errors]


def test_sound_data_is_sound(mine: Path) -> None:
    seen: list[tuple[int, int]] = []
    found = examine(mine, "pairs", ("train", "val"), progress=lambda *now: seen.append(now))
    assert found.is_sound
    assert found.findings == []
    assert found.pairs == {"train": 4, "val": 2}
    assert seen == [(number, 6) for number in range(1, 7)]


def test_every_missing_partner_has_its_path(mine: Path) -> None:
    for number in range(4):
        (mine / "train" / "target" / f"{number}.png").unlink()
        put(mine / "train" / "target" / f"other{number}.png", picture(number))
    found = look(mine)
    places = [place for place, _ in told(found)]
    assert places == [str(mine / "train" / "target" / f"other{n}") for n in range(4)]
    assert found.pairs == {"val": 2}


def test_a_corrupt_file_and_unequal_sizes_are_named(mine: Path) -> None:
    cut = mine / "train" / "input" / "1.png"
    cut.write_bytes(cut.read_bytes()[:200])
    small = put(mine / "val" / "input" / "4.png", picture(4, size=(20, 30)))
    found = look(mine)
    (first, why), (second, sizes) = told(found)
    assert first == str(cut)
    assert not why.startswith(str(cut))
    assert second == str(small)
    assert sizes == f"is 30×20, its target {mine / 'val' / 'target' / '4.png'} is 48×40"


def test_duplicates_and_unchanged_inputs_are_remarked(mine: Path) -> None:
    put(mine / "train" / "target" / "3.tif", picture(0))
    (mine / "train" / "target" / "3.png").unlink()
    put(mine / "train" / "input" / "2.png", picture(2))
    found = look(mine)
    assert found.is_sound
    assert told(found, errors=False) == [
        (str(mine / "train" / "target" / "2.png"), "is the same as its input"),
        (
            str(mine / "train" / "target" / "3.tif"),
            f"is the same picture as {mine / 'train' / 'target' / '0.png'}",
        ),
    ]


def test_a_leak_is_told_by_content_whatever_the_name(mine: Path) -> None:
    put(mine / "val" / "target" / "4.tif", picture(2))
    (mine / "val" / "target" / "4.png").unlink()
    found = look(mine)
    assert told(found) == [
        (
            str(mine / "val" / "target" / "4.tif"),
            f"of val is in train too, as {mine / 'train' / 'target' / '2.png'}",
        )
    ]


def test_the_same_scene_in_two_splits_is_remarked(mine: Path) -> None:
    brighter = np.clip(picture(2).astype(int) + 9, 0, 255).astype(np.uint8)
    put(mine / "val" / "target" / "4.png", brighter)
    found = look(mine)
    assert found.is_sound
    assert told(found, errors=False) == [
        (
            str(mine / "val" / "target" / "4.png"),
            f"of val looks like {mine / 'train' / 'target' / '2.png'} of train",
        )
    ]


@pytest.mark.parametrize("size", [(8, 8), (40, 48)])
def test_flat_and_tiny_pictures_look_like_nothing(size: tuple[int, int], tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val")):
        for part in ("input", "target"):
            put(tmp_path / split / part / "a.png", np.full((*size, 3), 50 + number, np.uint8))
    assert told(look(tmp_path)) == []
    assert all("looks like" not in what for _, what in told(look(tmp_path), errors=False))


def test_another_depth_than_published_is_wrong(tmp_path: Path) -> None:
    root = publishers.dpdd(tmp_path) / "dd_dp_dataset_canon"
    eight = put(root / "val_l" / "source" / "1P0A0990.png", picture(990))
    places = [place for place, what in told(look(tmp_path, "dpdd")) if "16 bits" in what]
    assert places == [str(eight)]


@pytest.mark.parametrize("name", [name for name in DATASETS if DATASETS[name].counts])
def test_counts_are_held_against_the_published_ones(name: DataSetName, tmp_path: Path) -> None:
    makers = {
        "dpdd": publishers.dpdd, "sidd": publishers.sidd, "dnd": publishers.dnd,
        "lol": publishers.lol, "fivek": publishers.fivek,
    }  # fmt: skip
    if name.startswith("realsr"):
        publishers.realsr(tmp_path, int(name[-1]))
    else:
        makers[name](tmp_path)
    found = look(tmp_path, name)
    counts = DATASETS[name].counts
    assert set(found.pairs) == set(counts)
    for split, numbers in counts.items():
        whole = " or ".join(map(str, numbers))
        assert any(
            what.startswith(f"{split} has {found.pairs[split]} pairs") and what.endswith(whole)
            for _, what in told(found)
        )
    assert len(told(found)) == len(counts)


def test_what_is_packed_can_be_examined(mine: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    for split in ("train", "val"):
        pack(find_pairs(mine, "pairs", split), packed, dataset="pairs", split=split)
    found = look(packed)
    assert found.is_sound
    assert found.pairs == {"train": 4, "val": 2}


def test_splits_are_those_that_are_there_or_should_be(tmp_path: Path) -> None:
    assert splits_in(tmp_path, "pairs") == ("train",)
    assert splits_in(tmp_path, "dpdd") == ALL
    (tmp_path / "val").mkdir()
    assert splits_in(tmp_path, "pairs") == ("val",)
