from pathlib import Path

import pytest

from mirnet.data.manifest import check_pairs, scan_clean, scan_pairs
from mirnet.errors import DataError
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from tests.conftest import random_pixels
from tests.data.conftest import MakePairs


def test_pairs_match_by_name_and_come_in_order(make_pairs: MakePairs) -> None:
    folder = make_pairs("b", "a", "c")
    (folder / "input" / "notes.txt").write_text("not a picture")
    (folder / "target" / ".hidden.png").write_bytes(b"")
    pairs = scan_pairs(folder)
    assert [pair.id for pair in pairs] == ["a", "b", "c"]
    assert pairs[0].views == (folder / "input" / "a.png",)
    assert pairs[0].target == folder / "target" / "a.png"


def test_suffixes_may_differ(make_pairs: MakePairs) -> None:
    folder = make_pairs("a")
    (folder / "input" / "a.png").unlink()
    write_photo(Photo(pixels=random_pixels((24, 32, 3))), folder / "input" / "a.jpg")
    assert scan_pairs(folder)[0].views == (folder / "input" / "a.jpg",)


def test_dual_pixel_pairs_have_two_views(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", views=("inputL", "inputR"))
    assert [path.parent.name for path in scan_pairs(folder)[0].views] == ["inputL", "inputR"]


def test_clean_pictures_have_no_views(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", "b", views=())
    by_parent, by_itself = scan_clean(folder), scan_clean(folder / "target")
    assert by_parent == by_itself
    assert [(pair.id, pair.views) for pair in by_parent] == [("a", ()), ("b", ())]


def test_files_without_a_partner_are_named(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", "b", "c", "d", "e", "f")
    for name in "bcdef":
        (folder / "target" / f"{name}.png").unlink()
    with pytest.raises(DataError) as caught:
        scan_pairs(folder)
    message = f"{folder}: b.png, c.png, d.png and 2 more in input/ has no partner in target/"
    assert str(caught.value) == message
    (folder / "input" / "a.png").unlink()
    with pytest.raises(DataError, match="has no partner"):
        scan_pairs(folder)


@pytest.mark.parametrize("missing", ["input", "target"])
def test_a_missing_folder_is_named(make_pairs: MakePairs, missing: str) -> None:
    folder = make_pairs("a")
    (folder / missing / "a.png").unlink()
    (folder / missing).rmdir()
    with pytest.raises(DataError, match=f"has no folder {missing}/; a paired data set holds"):
        scan_pairs(folder)


def test_an_empty_folder_is_refused(make_pairs: MakePairs) -> None:
    with pytest.raises(DataError, match="holds no pictures"):
        scan_pairs(make_pairs())


def test_two_files_of_one_name_are_refused(make_pairs: MakePairs) -> None:
    folder = make_pairs("a")
    (folder / "input" / "a.tif").write_bytes((folder / "input" / "a.png").read_bytes())
    with pytest.raises(DataError, match=r"a\.tif: has the same name as a\.png; keep one"):
        scan_pairs(folder)


def test_unequal_sizes_are_refused(make_pairs: MakePairs) -> None:
    folder = make_pairs("a", size=(24, 32))
    write_photo(Photo(pixels=random_pixels((32, 24, 3))), folder / "target" / "a.png")
    with pytest.raises(DataError, match=r"input/a\.png: is 32×24, its target .* is 24×32"):
        check_pairs(scan_pairs(folder), at_least=8)


def test_pictures_smaller_than_a_patch_are_refused(make_pairs: MakePairs) -> None:
    pairs = scan_pairs(make_pairs("a", size=(24, 32)))
    check_pairs(pairs, at_least=24)
    with pytest.raises(DataError, match=r"is 32×24, smaller than the largest patch \(25\)"):
        check_pairs(pairs, at_least=25)


def test_a_picture_that_cannot_be_read_is_named(make_pairs: MakePairs, tmp_path: Path) -> None:
    folder = make_pairs("a")
    (folder / "input" / "a.png").write_text("no picture")
    with pytest.raises(DataError, match=r"input/a\.png: "):
        check_pairs(scan_pairs(folder), at_least=8)
