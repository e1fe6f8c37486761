"""Every data set, in the layout in which its publisher distributes it."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mirnet.choices import DataSetName, Split
from mirnet.data.pair import Pair
from mirnet.data.sources import DATASETS, find_pairs
from mirnet.errors import DataError
from tests.data import publishers
from tests.octave import needs_octave, octave

Make = Callable[[Path], Path]

SIDD_PAIRS = [f"{scene}_{number}" for scene in publishers.SCENES for number in ("010", "011")]
REALSR_PAIRS = ["Canon_001", "Canon_002", "Nikon_001", "Nikon_002"]
FIVEK_PHOTOS = [f"a{n}-jmac_DSC{n}" for n in ("0001", "4499", "4500", "4501", "5000")]


def target(pair: Pair) -> np.ndarray:
    assert pair.target is not None
    return pair.target.pixels()


@pytest.mark.parametrize(
    ("name", "make", "split", "ids"),
    [
        ("dpdd", publishers.dpdd, "train", ["1P0A0890", "1P0A0900", "1P0A0910"]),
        ("dpdd", publishers.dpdd, "val", ["1P0A0990", "1P0A1000", "1P0A1010"]),
        ("sidd", publishers.sidd, "train", SIDD_PAIRS),
        ("sidd", publishers.sidd, "val", [f"000{s}-0{b}" for s in (1, 2) for b in (1, 2, 3)]),
        ("realsr-x2", publishers.realsr, "train", REALSR_PAIRS),
        ("realsr-x2", publishers.realsr, "test", REALSR_PAIRS),
        ("lol", publishers.lol, "train", ["2", "5", "9"]),
        ("lol", publishers.lol, "test", ["1", "7"]),
        ("fivek", publishers.fivek, "train", FIVEK_PHOTOS[:3]),
        ("fivek", publishers.fivek, "test", FIVEK_PHOTOS[3:]),
    ],
)  # fmt: skip
def test_pairs_are_found(
    name: DataSetName, make: Make, split: Split, ids: list[str], tmp_path: Path
) -> None:
    pairs = find_pairs(make(tmp_path), name, split)
    assert [pair.id for pair in pairs] == ids
    for pair in pairs:
        assert len(pair.views) == DATASETS[name].views
        clean = target(pair).astype(float)
        for view in pair.views:
            seen = view.pixels().astype(float)
            # A view shows its target's scene: they go together closely, and with no other's.
            assert np.corrcoef(seen.ravel(), clean.ravel())[0, 1] > 0.9


def test_every_name_has_its_data_set() -> None:
    assert [data.name for data in DATASETS.values()] == list(DATASETS)


def test_the_counts_are_the_paper_s() -> None:
    counts = {
        name: {split: numbers[0] for split, numbers in data.counts.items()}
        for name, data in DATASETS.items()
    }
    assert counts == {
        "pairs": {}, "clean": {},
        "dpdd": {"train": 350, "val": 74, "test": 76},
        "sidd": {"train": 320, "val": 1280},
        "dnd": {"test": 1000},
        "realsr-x2": {"train": 183, "test": 30},
        "realsr-x3": {"train": 234, "test": 30},
        "realsr-x4": {"train": 178, "test": 30},
        "lol": {"train": 485, "test": 15},
        "fivek": {"train": 4500, "test": 500},
    }  # fmt: skip


@pytest.mark.parametrize("name", [name for name in DATASETS if name not in ("pairs", "clean")])
def test_an_empty_folder_is_told_what_the_data_set_holds(name: DataSetName, tmp_path: Path) -> None:
    for split in DATASETS[name].counts:
        with pytest.raises(DataError, match=re.escape(str(tmp_path))):
            find_pairs(tmp_path, name, split)


@pytest.mark.parametrize(
    ("name", "split"),
    [("sidd", "test"), ("dnd", "train"), ("lol", "val"), ("fivek", "val"), ("realsr-x2", "val")],
)
def test_a_split_that_there_is_not_is_refused(
    name: DataSetName, split: Split, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"; it has |has no targets"):
        find_pairs(tmp_path, name, split)


class TestDpdd:
    def test_views_are_left_and_right(self, tmp_path: Path) -> None:
        pair = find_pairs(publishers.dpdd(tmp_path), "dpdd", "train")[0]
        assert [Path(view.place).parent.parent.name for view in pair.views] == [
            "train_l",
            "train_r",
        ]
        assert target(pair).dtype == np.uint16

    def test_test_scenes_know_where_they_were_taken(self, tmp_path: Path) -> None:
        pairs = find_pairs(publishers.dpdd(tmp_path), "dpdd", "test")
        assert [pair.group for pair in pairs] == ["indoor", "outdoor", "indoor"]
        (tmp_path / "dd_dp_dataset_canon" / "indoor_labels.npy").unlink()
        assert {pair.group for pair in find_pairs(tmp_path, "dpdd", "test")} == {None}

    @pytest.mark.parametrize("labels", [[0], [0, 1, 2], [0, 7]])
    def test_labels_of_another_list_are_refused(self, labels: list[int], tmp_path: Path) -> None:
        root = publishers.dpdd(tmp_path) / "dd_dp_dataset_canon"
        np.save(root / "outdoor_labels.npy", np.array([]))
        np.save(root / "indoor_labels.npy", np.array(labels))
        if labels == [0, 1, 2]:
            assert find_pairs(tmp_path, "dpdd", "test")[1].group == "indoor"
        else:
            with pytest.raises(DataError, match="labels are for"):
                find_pairs(tmp_path, "dpdd", "test")

    def test_a_label_file_that_is_none_is_named(self, tmp_path: Path) -> None:
        root = publishers.dpdd(tmp_path) / "dd_dp_dataset_canon"
        (root / "indoor_labels.npy").write_bytes(b"no array")
        with pytest.raises(DataError, match=r"indoor_labels\.npy: is no array"):
            find_pairs(tmp_path, "dpdd", "test")

    def test_a_missing_picture_does_not_shift_the_rest(self, tmp_path: Path) -> None:
        root = publishers.dpdd(tmp_path) / "dd_dp_dataset_canon"
        (root / "train_c" / "target" / "1P0A0891.png").unlink()
        with pytest.raises(DataError, match=r"1P0A0890 and .*1P0A0899 don't belong together"):
            find_pairs(tmp_path, "dpdd", "train")
        (root / "train_l" / "source" / "1P0A0890.png").unlink()
        with pytest.raises(DataError, match=r"1P0A0890 has no partner in .*train_l"):
            find_pairs(tmp_path, "dpdd", "train")

    def test_a_missing_last_target_is_counted(self, tmp_path: Path) -> None:
        root = publishers.dpdd(tmp_path) / "dd_dp_dataset_canon"
        (root / "train_c" / "target" / "1P0A0911.png").unlink()
        with pytest.raises(DataError, match=r"target: holds 2 pictures, .*source holds 3"):
            find_pairs(tmp_path, "dpdd", "train")

    def test_the_layout_that_users_keep(self, tmp_path: Path) -> None:
        for part in ("inputC", "inputL", "inputR", "target"):
            publishers.put(tmp_path / "test" / "DPDD" / part / "1.png", publishers.picture(1))
        pair = find_pairs(tmp_path, "dpdd", "test")[0]
        assert [Path(view.place).parent.name for view in pair.views] == ["inputL", "inputR"]


class TestSidd:
    def test_the_small_set_has_one_pair_a_scene_without_a_number(self, tmp_path: Path) -> None:
        scene = tmp_path / "SIDD_Small_sRGB_Only" / "Data" / publishers.SCENES[0]
        for kind in ("GT", "NOISY"):
            publishers.put(scene / f"{kind}_SRGB_010.PNG", publishers.picture(1))
        assert [pair.id for pair in find_pairs(tmp_path, "sidd", "train")] == [f"{scene.name}_010"]
        assert len(find_pairs(scene.parent, "sidd", "train")) == 1

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        data = publishers.sidd(tmp_path) / "SIDD_Medium_Srgb" / "Data"
        (data / publishers.SCENES[0] / "0001_GT_SRGB_011.PNG").unlink()
        with pytest.raises(DataError, match=r"has no GT_SRGB_011\.PNG, but its partner"):
            find_pairs(tmp_path, "sidd", "train")
        shutil.rmtree(data / publishers.SCENES[0])
        with pytest.raises(DataError, match=f"{publishers.SCENES[0]} is missing, of the scenes"):
            find_pairs(tmp_path, "sidd", "train")
        (data / publishers.SCENES[0]).mkdir()
        with pytest.raises(DataError, match=r"holds no …NOISY_SRGB_010\.PNG"):
            find_pairs(tmp_path, "sidd", "train")

    def test_blocks_are_matlab_s(self, tmp_path: Path) -> None:
        pairs = find_pairs(publishers.sidd(tmp_path), "sidd", "val")
        assert np.array_equal(target(pairs[4]), publishers.picture(104))
        assert pairs[4].place.endswith("ValidationGtBlocksSrgb(2,2)")

    def test_blocks_of_two_kinds_are_refused(self, tmp_path: Path) -> None:
        find_pairs(publishers.sidd(tmp_path), "sidd", "val")
        name = "ValidationGtBlocksSrgb"
        savemat(tmp_path / f"{name}.mat", {name: np.zeros((2, 3, 8, 8, 3), np.uint8)})
        with pytest.raises(DataError, match=r"holds blocks of \(2, 3, 40, 48, 3\)"):
            find_pairs(tmp_path, "sidd", "val")


class TestDnd:
    def test_boxes_count_from_one_with_both_ends_in(self, tmp_path: Path) -> None:
        pairs = find_pairs(publishers.dnd(tmp_path), "dnd", "test")
        assert [pair.id for pair in pairs] == ["0001-01", "0001-02", "0002-01", "0002-02"]
        for pair, scene in zip(pairs, (0, 0, 1, 1), strict=True):
            whole = publishers.picture(scene) / 255
            part = whole[0:16, 0:20] if pair.id.endswith("01") else whole[10:40, 8:48]
            assert pair.target is None
            np.testing.assert_allclose(pair.views[0].pixels(), part, atol=1e-6)

    def test_what_is_missing_is_named(self, tmp_path: Path) -> None:
        publishers.dnd(tmp_path)
        (tmp_path / "images_srgb" / "0002.mat").unlink()
        with pytest.raises(DataError, match=r"0002\.mat: is missing; DND holds"):
            find_pairs(tmp_path, "dnd", "test")

    def test_boxes_that_leave_their_picture_are_refused(self, tmp_path: Path) -> None:
        publishers.dnd(tmp_path)
        other = publishers.dnd(tmp_path / "other") / "images_srgb"
        shutil.rmtree(other)
        smaller = (publishers.picture(0, size=(20, 48)) / 255).transpose(2, 1, 0)
        import h5py

        path = tmp_path / "images_srgb" / "0001.mat"
        path.unlink()
        with h5py.File(path, "w") as file:
            file.create_dataset("InoisySRGB", data=smaller)
        with pytest.raises(DataError, match=r"0001\.mat: is 20×48, and box 2 leaves it"):
            find_pairs(tmp_path, "dnd", "test")

    def test_an_info_file_of_another_kind_is_named(self, tmp_path: Path) -> None:
        import h5py

        publishers.dnd(tmp_path)
        with h5py.File(tmp_path / "info.mat", "w") as file:
            file.create_dataset("else", data=np.zeros(3))
        with pytest.raises(DataError, match=r"info\.mat: holds no info\.boundingboxes"):
            find_pairs(tmp_path, "dnd", "test")


class TestRealSr:
    @pytest.mark.parametrize("kept", ["train/2", "train/x2", "train"])
    def test_the_layouts_that_users_keep(self, kept: str, tmp_path: Path) -> None:
        for part in ("HR", "LR"):
            publishers.put(tmp_path / kept / part / "1.png", publishers.picture(1))
        assert [pair.id for pair in find_pairs(tmp_path, "realsr-x2", "train")] == ["1"]

    def test_a_picture_without_its_partner_is_named(self, tmp_path: Path) -> None:
        folder = publishers.realsr(tmp_path) / "RealSR(V3)" / "Nikon" / "Train" / "2"
        (folder / "Nikon_001_LR2.png").unlink()
        with pytest.raises(DataError, match="Nikon_001 has no partner"):
            find_pairs(tmp_path, "realsr-x2", "train")

    def test_a_picture_of_another_scale_is_named(self, tmp_path: Path) -> None:
        folder = publishers.realsr(tmp_path) / "RealSR(V3)" / "Nikon" / "Train" / "2"
        (folder / "Nikon_001_LR2.png").rename(folder / "Nikon_001_LR4.png")
        with pytest.raises(DataError, match=r"Nikon_001_LR4\.png: is no picture of ×2"):
            find_pairs(tmp_path, "realsr-x2", "train")


class TestLol:
    def test_the_folder_of_its_archive_may_be_there(self, tmp_path: Path) -> None:
        publishers.lol(tmp_path / "LOLdataset")
        assert [pair.id for pair in find_pairs(tmp_path, "lol", "test")] == ["1", "7"]


class TestFiveK:
    def test_lists_in_files_decide(self, tmp_path: Path) -> None:
        publishers.fivek(tmp_path)
        (tmp_path / "test.txt").write_text("a0001-jmac_DSC0001\na5000-jmac_DSC5000.png\n")
        ids = [pair.id for pair in find_pairs(tmp_path, "fivek", "test")]
        assert ids == ["a0001-jmac_DSC0001", "a5000-jmac_DSC5000"]
        (tmp_path / "test.txt").write_text("a0002-nowhere")
        with pytest.raises(DataError, match="names a0002-nowhere, which is not there"):
            find_pairs(tmp_path, "fivek", "test")

    def test_other_names_need_lists(self, tmp_path: Path) -> None:
        for part in ("input", "target"):
            publishers.put(tmp_path / part / "1.png", publishers.picture(1))
        with pytest.raises(DataError, match="is not named as a photo of FiveK"):
            find_pairs(tmp_path, "fivek", "train")


@needs_octave
def test_sidd_s_blocks_are_read_as_octave_writes_them(tmp_path: Path) -> None:
    """Scenes, then blocks, rows, columns, channels; compressed, as its publisher saves them."""
    script = f"""
        Gt = zeros(2, 3, 16, 20, 3, 'uint8');
        for s = 1:2, for b = 1:3
            Gt(s, b, :, :, 1) = s; Gt(s, b, :, :, 2) = b;
            Gt(s, b, 5, 7, 3) = 200;
        end, end
        ValidationGtBlocksSrgb = Gt; ValidationNoisyBlocksSrgb = Gt + 1;
        save('-v7', '{tmp_path}/ValidationGtBlocksSrgb.mat', 'ValidationGtBlocksSrgb');
        save('-v7', '{tmp_path}/ValidationNoisyBlocksSrgb.mat', 'ValidationNoisyBlocksSrgb');
    """
    octave(script)
    pairs = find_pairs(tmp_path, "sidd", "val")
    assert [pair.id for pair in pairs][:4] == ["0001-01", "0001-02", "0001-03", "0002-01"]
    for number, pair in enumerate(pairs):
        assert pair.target is not None
        target, noisy = pair.target.pixels(), pair.views[0].pixels()
        assert target.shape == (16, 20, 3)
        assert (target[..., 0] == number // 3 + 1).all()
        assert (target[..., 1] == number % 3 + 1).all()
        assert np.argwhere(target[..., 2]).tolist() == [[4, 6]]
        assert np.array_equal(noisy, target + 1)


def test_dpdd_s_labels_are_found_where_people_keep_them(tmp_path: Path) -> None:
    publishers.dpdd(tmp_path / "published")
    top = tmp_path / "published" / "dd_dp_dataset_canon"
    kept = tmp_path / "kept" / "test" / "DPDD"
    for ours, theirs in (("inputL", "test_l/source"), ("inputR", "test_r/source")):
        shutil.copytree(top / theirs, kept / ours)
    (kept / "target").mkdir()
    names = sorted(path.name for path in (kept / "inputL").iterdir())
    for name, path in zip(names, sorted((top / "test_c" / "target").iterdir()), strict=True):
        shutil.copy(path, kept / "target" / name)
    for place in (kept, kept.parent, tmp_path / "kept"):
        for group in ("indoor", "outdoor"):
            shutil.copy(top / f"{group}_labels.npy", place)
        pairs = find_pairs(tmp_path / "kept", "dpdd", "test")
        assert [pair.group for pair in pairs] == ["indoor", "outdoor", "indoor"]
        for group in ("indoor", "outdoor"):
            (place / f"{group}_labels.npy").unlink()
    assert {pair.group for pair in find_pairs(tmp_path / "kept", "dpdd", "test")} == {None}


@pytest.mark.parametrize(("given", "rest"), [("test", "train"), ("train", "test")])
def test_one_list_of_fivek_leaves_the_rest_to_the_other_split(
    given: Split, rest: Split, tmp_path: Path
) -> None:
    publishers.fivek(tmp_path)
    (tmp_path / f"{given}.txt").write_text("a0001-jmac_DSC0001\na5000-jmac_DSC5000\n")
    named = {pair.id for pair in find_pairs(tmp_path, "fivek", given)}
    others = {pair.id for pair in find_pairs(tmp_path, "fivek", rest)}
    assert named == {"a0001-jmac_DSC0001", "a5000-jmac_DSC5000"}
    assert len(others) == 3
    assert not named & others
