from pathlib import Path

import pytest

from mirnet.data.checking import require_apart, require_sizes, require_targets, require_views
from mirnet.data.matching import listed
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture
from mirnet.data.sources import find_pairs, whole_pairs
from mirnet.errors import DataError
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from tests.conftest import random_pixels
from tests.data.conftest import MakePairs


def test_pairs_match_by_name_and_come_in_order(make_pairs: MakePairs) -> None:
    folder = make_pairs("b", "a", "c")
    (folder / "input" / "notes.txt").write_text("not a picture")
    (folder / "target" / ".hidden.png").write_bytes(b"")
    pairs = find_pairs(folder)
    assert [pair.id for pair in pairs] == ["a", "b", "c"]
    assert pairs[0].views == (FilePicture(folder / "input" / "a.png"),)
    assert pairs[0].target == FilePicture(folder / "target" / "a.png")


def test_suffixes_may_differ(make_pairs: MakePairs) -> None:
    folder = make_pairs("a")
    (folder / "input" / "a.png").unlink()
    write_photo(Photo(pixels=random_pixels((24, 32, 3))), folder / "input" / "a.jpg")
    assert find_pairs(folder)[0].views == (FilePicture(folder / "input" / "a.jpg"),)


def test_dual_pixel_pairs_have_two_views(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", views=("inputL", "inputR"))
    names = [Path(picture.place).parent.name for picture in find_pairs(folder)[0].views]
    assert names == ["inputL", "inputR"]


def test_clean_pictures_have_no_views(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", "b", views=())
    by_parent, by_itself = find_pairs(folder, "clean"), find_pairs(folder / "target", "clean")
    assert by_parent == by_itself
    assert [(pair.id, pair.views) for pair in by_parent] == [("a", ()), ("b", ())]


def test_a_split_is_a_folder_if_there_is_one(make_pairs: MakePairs) -> None:
    root = make_pairs("a", folder="mine/train").parent
    make_pairs("b", "c", folder="mine/val")
    assert [pair.id for pair in find_pairs(root, split="train")] == ["a"]
    assert [pair.id for pair in find_pairs(root, split="val")] == ["b", "c"]
    assert [pair.id for pair in find_pairs(root, "clean", "val")] == ["b", "c"]
    assert [pair.id for pair in find_pairs(root / "val", split="train")] == ["b", "c"]


def test_files_without_a_partner_are_named(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", "b", "c", "d", "e", "f")
    for name in "bcdef":
        (folder / "target" / f"{name}.png").unlink()
    with pytest.raises(DataError) as caught:
        find_pairs(folder)
    told = f"{folder / 'input'}: b, c, d and 2 more have no partner in {folder / 'target'}"
    assert str(caught.value) == told
    (folder / "input" / "a.png").unlink()
    with pytest.raises(DataError, match="has no partner"):
        find_pairs(folder)


def test_what_has_no_partner_can_be_set_aside(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", "b", "c", "d", views=("inputL", "inputR"))
    (folder / "inputR" / "a.png").unlink()
    (folder / "target" / "d.png").unlink()
    pairs, alone = whole_pairs(folder, "test")
    assert [pair.id for pair in pairs] == ["b", "c"]
    assert pairs[0].views == tuple(
        FilePicture(folder / part / "b.png") for part in ("inputL", "inputR")
    )
    assert alone == {
        "a": f"{folder / 'target' / 'a.png'}: has no partner in {folder / 'inputR'}",
        "d": f"{folder / 'inputL' / 'd.png'}: has no partner in {folder / 'target'}",
    }
    with pytest.raises(DataError, match="a has no partner"):
        find_pairs(folder)


@pytest.mark.parametrize("missing", ["input", "target"])
def test_a_missing_folder_is_named(make_pairs: MakePairs, missing: str) -> None:
    folder = make_pairs("a")
    (folder / missing / "a.png").unlink()
    (folder / missing).rmdir()
    with pytest.raises(DataError, match=f"has no folder {missing}/; a paired data set holds"):
        find_pairs(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: there is no such folder"):
        find_pairs(tmp_path / "nowhere")


def test_an_empty_folder_is_refused(make_pairs: MakePairs) -> None:
    with pytest.raises(DataError, match="holds no pictures"):
        find_pairs(make_pairs())


def test_two_files_of_one_name_are_refused(make_pairs: MakePairs) -> None:
    folder = make_pairs("a")
    (folder / "input" / "a.tif").write_bytes((folder / "input" / "a.png").read_bytes())
    with pytest.raises(DataError, match=r"a\.tif: has the same name as a\.png; keep one"):
        find_pairs(folder)


def test_names_are_listed_up_to_three() -> None:
    assert listed("abc") == "a, b, c"
    assert listed("abcd") == "a, b, c and 1 more"


def test_unequal_sizes_are_refused(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", size=(24, 32))
    write_photo(Photo(pixels=random_pixels((32, 24, 3))), folder / "target" / "a.png")
    with pytest.raises(DataError, match=r"input/a\.png: is 32×24, its target .* is 24×32"):
        require_sizes(find_pairs(folder), at_least=8)


def test_pictures_smaller_than_a_patch_are_refused(make_pairs: MakePairs) -> None:
    pairs = find_pairs(make_pairs("a", size=(24, 32)))
    require_sizes(pairs, at_least=24)
    with pytest.raises(DataError, match=r"is 32×24, smaller than the largest patch \(25\)"):
        require_sizes(pairs, at_least=25)


def test_a_picture_that_cannot_be_read_is_named(make_pairs: MakePairs) -> None:
    folder = make_pairs("a")
    (folder / "input" / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"input/a\.png: "):
        require_sizes(find_pairs(folder), at_least=8)


def test_views_that_the_network_does_not_take_are_refused(make_pairs: MakePairs) -> None:
    pairs = find_pairs(make_pairs("a"))
    require_views(pairs, 3, of="here")
    with pytest.raises(
        DataError, match="here: a has 1 view of 3 channels, and the network takes 6"
    ):
        require_views(pairs, 6, of="here")


def test_pairs_without_a_target_teach_nothing(make_pairs: MakePairs) -> None:
    pair = Pair(id="a", views=find_pairs(make_pairs("a"))[0].views, target=None)
    with pytest.raises(DataError, match="here: a has no target"):
        require_targets([pair], of="here")


@pytest.mark.parametrize("place", ["input", "target", "target/made/now", "other/../input", "link"])
def test_results_do_not_become_data(make_pairs: MakePairs, tmp_path: Path, place: str) -> None:
    folder = make_pairs("a")
    (folder / "link").symlink_to(folder / "input")
    with pytest.raises(DataError, match=r"is among the pictures in .*; name another --output"):
        require_apart(folder / place, find_pairs(folder))


def test_results_may_lie_beside_the_data(make_pairs: MakePairs) -> None:
    folder = make_pairs("a")
    for place in (folder, folder / "scores", folder / "inputs", folder.parent):
        require_apart(place, find_pairs(folder))
