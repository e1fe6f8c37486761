from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirnet.errors import PhotoError
from mirnet.inference.jobs import Plan
from mirnet.inference.places import placed
from mirnet.inference.planning import listed, plan
from tests.conftest import random_pixels
from tests.imaging.containers.heics import heic


@pytest.fixture
def touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes empty files below a folder that is the current one."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str) -> None:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    return make


def targets(made: Plan) -> dict[str, str]:
    return {str(job.source): str(job.target) for job in made.jobs}


def test_a_folder_is_mirrored_without_what_other_programs_hide_in_it(
    touch: Callable[..., None],
) -> None:
    touch(
        "in/a.png", "in/deep/b.JPG", "in/c.jfif", "in/.thumbnails/x.png", "in/@eaDir/y.jpg",
        "in/__MACOSX/z.png", "in/.hidden.png", "in/notes.txt", "in/d.psd", "in/deep/e.JXL",
    )  # fmt: skip
    made = plan(["in"], Path("out"), suffix=None)
    assert targets(made) == {
        "in/a.png": "out/a.png", "in/c.jfif": "out/c.jfif", "in/deep/b.JPG": "out/deep/b.JPG",
    }  # fmt: skip
    assert made.faults == {}
    assert made.left_alone == {".psd": 1, ".jxl": 1}


@pytest.mark.parametrize("pattern", ["**/*.png", "*/*.png"])
def test_results_of_an_earlier_run_are_no_photos(touch: Callable[..., None], pattern: str) -> None:
    touch("in/a.png", "restored/a.png")
    assert targets(plan([pattern], Path("restored"), suffix=None)) == {"in/a.png": "restored/a.png"}


def test_a_pattern_means_photos_alone(touch: Callable[..., None]) -> None:
    touch("in/a.png", "in/notes.txt", "in/sub.png/b.png", "in/@eaDir/c.png")
    assert set(targets(plan(["in/*", "in/*/*"], Path("out"), suffix=None))) == {
        "in/a.png", "in/sub.png/b.png",
    }  # fmt: skip


def test_results_over_their_photos_are_refused_for_that_reason(
    touch: Callable[..., None],
) -> None:
    touch("in/a.png")
    for paths, output in ((["in"], "in"), (["in/../in"], "in"), (["in"], "./in/")):
        made = plan(paths, Path(output), suffix=None)
        assert made.jobs == []
        assert "the results would lie over the photos" in made.faults[Path(paths[0])]
    made = plan(["in/a.png"], Path("in"), suffix=None)
    assert "the output would be the input itself" in made.faults[Path("in/a.png")]
    assert targets(plan(["in/a.png"], Path("in"), suffix=".jpg")) == {"in/a.png": "in/a.jpg"}


def test_results_may_go_into_a_parent_of_the_folder(touch: Callable[..., None]) -> None:
    touch("in/a.png")
    assert targets(plan(["in"], Path(), suffix=None)) == {"in/a.png": "a.png"}


def test_results_never_land_among_the_photos(touch: Callable[..., None]) -> None:
    touch("in/a.png", "in/in/a.png", "in/in/b.png")
    made = plan(["in"], Path(), suffix=None)
    assert targets(made) == {"in/a.png": "a.png"}
    assert set(made.faults) == {Path("in/in/a.png"), Path("in/in/b.png")}
    made = plan(["in/in/a.png", "in/a.png"], Path("in"), suffix=None)
    assert made.jobs == []


def test_a_pattern_counts_what_it_passes_by(touch: Callable[..., None]) -> None:
    touch("in/a.png", "in/b.psd")
    assert plan(["in/*"], Path("out"), suffix=None).left_alone == {".psd": 1}


def test_originals_become_what_can_hold_them_and_keep_their_suffix_beside_namesakes(
    touch: Callable[..., None],
) -> None:
    touch("in/a.HEIC", "in/b.heic", "in/c.heic", "in/c.JPG", "in/d.CR2")
    Path("in/b.heic").write_bytes(heic(random_pixels((9, 14, 3), np.uint16), bits=10))
    expected = {
        "in/a.HEIC": "out/a.jpg", "in/b.heic": "out/b.tif", "in/c.heic": "out/c.heic.jpg",
        "in/c.JPG": "out/c.JPG", "in/d.CR2": "out/d.tif",
    }  # fmt: skip
    assert targets(plan(["in"], Path("out"), suffix=None)) == expected
    assert targets(plan(["in/b.heic"], Path("out"), suffix=None, depth="8")) == {
        "in/b.heic": "out/b.jpg"
    }
    assert targets(plan(["in/b.heic"], Path("out"), suffix=".png")) == {"in/b.heic": "out/b.png"}


def test_names_that_a_disk_may_take_for_one_keep_their_suffix(
    touch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("in/IMG_1.JPG", "in/img_1.png", "in/e\u0301.tif", "in/\u00e9.png")
    assert targets(plan(["in"], Path("out"), suffix=".png")) == {
        "in/IMG_1.JPG": "out/IMG_1.JPG.png", "in/img_1.png": "out/img_1.png",
        "in/e\u0301.tif": "out/e\u0301.tif.png", "in/\u00e9.png": "out/\u00e9.png",
    }  # fmt: skip
    touch("other/a.png", "other/A.png")
    if len(list(Path("other").iterdir())) == 1:
        return  # a disk that takes them for one already
    assert len(plan(["other"], Path("out"), suffix=None).jobs) == 2
    monkeypatch.setattr(sys, "platform", "darwin")
    made = plan(["other"], Path("out"), suffix=None)
    assert len(made.jobs) == 1
    assert "would become" in made.faults[Path("other/a.png")]


def test_namesakes_keep_their_suffix_whatever_is_done_already(
    touch: Callable[..., None],
) -> None:
    touch("in/a.jpg", "in/a.png", "in/a.tif", "in/b.jpg", "in/c.jpg", "in/c.tif")
    expected = {
        "in/a.jpg": "out/a.jpg.png", "in/a.png": "out/a.png", "in/a.tif": "out/a.tif.png",
        "in/b.jpg": "out/b.png", "in/c.jpg": "out/c.jpg.png", "in/c.tif": "out/c.tif.png",
    }  # fmt: skip
    assert targets(plan(["in"], Path("out"), suffix=".png")) == expected
    touch("out/a.png", "out/b.png")
    made = plan(["in", "in/a.jpg"], Path("out"), suffix=".png")
    assert targets(made) == expected
    assert made.faults == {}


def test_linked_folders_are_followed_once(touch: Callable[..., None], tmp_path: Path) -> None:
    touch("in/a.png", "in/z/c.png", "elsewhere/b.png", "in/out/deep/d.png")
    (tmp_path / "in/first").symlink_to(tmp_path / "in/z")
    (tmp_path / "in/results").symlink_to(tmp_path / "in/out/deep")
    (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    found = targets(plan(["in"], Path("in/out"), suffix=None))
    assert found == {
        "in/a.png": "in/out/a.png", "in/z/c.png": "in/out/z/c.png",
        "in/again/b.png": "in/out/again/b.png",
    }  # fmt: skip


def test_a_folder_that_can_t_be_listed_is_named_and_the_rest_found(
    touch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("in/a.png", "in/closed/b.png")
    listed = Path.iterdir

    def iterdir(folder: Path) -> object:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    made = plan(["in"], Path("out"), suffix=None)
    assert set(targets(made)) == {"in/a.png"}
    assert made.faults[Path("in/closed")].startswith("in/closed: can't be listed (Permission den")


def test_an_entry_that_can_t_be_asked_does_not_end_the_search(
    touch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("in/a.png", "in/b.png", "in/c.png")
    asked = Path.is_dir

    def is_dir(path: Path) -> bool:
        if path.name == "b.png":
            raise PermissionError(13, "Permission denied", str(path))
        return asked(path)

    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert len(targets(plan(["in"], Path("out"), suffix=None))) == 3


def test_a_parent_that_can_t_be_read_is_one_fault(
    touch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("a.png")

    def is_dir(path: Path) -> bool:
        if path.name == "b.png":
            raise PermissionError(13, "Permission denied", str(path))
        return False

    monkeypatch.setattr(Path, "is_dir", is_dir)
    made = plan(["b.png", "a.png"], Path("out"), suffix=None)
    assert set(targets(made)) == {"a.png"}
    assert "Permission denied" in made.faults[Path("b.png")]


def test_a_folder_may_be_empty_and_must_be_readable(
    touch: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("in/notes.txt")
    assert list(plan(["in"], Path("out"), suffix=None).faults) == [Path("in")]
    assert plan(["in"], Path("out"), suffix=None, may_be_empty=True).faults == {}

    def forbidden(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", forbidden)
    made = plan(["in"], Path("out"), suffix=None, may_be_empty=True)
    assert "can't be listed (Permission denied)" in made.faults[Path("in")]


def test_the_photos_of_a_list_keep_their_tree_below_the_folder_that_all_lie_in(
    touch: Callable[..., None], tmp_path: Path
) -> None:
    touch("card/a/1.png", "card/b/1.png", "card/b/deep/2.png", "else/3.png")
    listing = tmp_path / "list.txt"
    listing.write_text(f"card/a/1.png\n\ncard/b/../b/1.png\r\n{tmp_path}/card/b/deep/2.png\n")
    paths, within = listed(listing)
    assert within == tmp_path / "card"
    assert targets(plan(paths, Path("out"), suffix=None, within=within)) == {
        "card/a/1.png": "out/a/1.png",
        "card/b/../b/1.png": "out/b/1.png",
        f"{tmp_path}/card/b/deep/2.png": "out/b/deep/2.png",
    }
    listing.write_text("card/b/../../else/3.png\ncard/a/1.png\n")
    paths, within = listed(listing)
    assert set(targets(plan(paths, Path("out"), suffix=None, within=within)).values()) == {
        "out/else/3.png",
        "out/card/a/1.png",
    }


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    for content, words in ((b"\n \n", "names no photos"), (b"\xff\xd8\xff", "is no text in UTF-8")):
        listing.write_bytes(content)
        with pytest.raises(PhotoError, match=words):
            listed(listing)
    with pytest.raises(OSError, match="No such file"):
        listed(tmp_path / "gone.txt")


def test_the_output_is_passed_by_however_it_is_reached(
    touch: Callable[..., None], tmp_path: Path
) -> None:
    touch("in/a.jpg", "out/a.jpg", "out/b.jpg")
    Path("in/link").symlink_to(tmp_path / "out")
    made = plan(["in"], Path("out"), suffix=None)
    assert [job.source for job in made.jobs] == [Path("in/a.jpg")]
    assert not made.faults


def test_a_pipe_is_named_and_not_waited_for(touch: Callable[..., None]) -> None:
    touch("in/a.jpg")
    for name in ("in/b.png", "in/c.heic"):
        os.mkfifo(name)
    made = plan(["in", "in/b.png"], Path("out"), suffix=None)
    assert [job.source for job in made.jobs] == [Path("in/a.jpg")]
    assert {str(place) for place in made.faults} == {"in/b.png", "in/c.heic"}
    assert all("is a pipe" in fault for fault in made.faults.values())


def test_results_in_a_store_never_lie_over_photos_of_this_machine(
    touch: Callable[..., None], tmp_path: Path
) -> None:
    pytest.importorskip("fsspec")
    touch("in/a.jpg")
    here = placed(f"file://{tmp_path}/in")
    for given, output in (("in", here), (str(tmp_path / "in"), here)):
        made = plan([given], output, suffix=None)
        assert not made.jobs
        assert "over the photos" in " ".join(made.faults.values())
    made = plan([f"file://{tmp_path}/in"], tmp_path / "in", suffix=None)
    assert not made.jobs
    assert "over the photos" in " ".join(made.faults.values())


def test_two_colons_in_a_name_are_letters_as_any(
    touch: Callable[..., None], tmp_path: Path
) -> None:
    """To fsspec they begin the address of what a file lies in."""
    pytest.importorskip("fsspec")
    touch("in/a.png", "in/a.png::b.png")
    for given, output in (
        (f"file://{tmp_path}/in", tmp_path / "out"),
        ("in", placed(f"file://{tmp_path}/out")),
    ):
        made = plan([given], output, suffix=None)
        assert [job.target.name for job in made.jobs] == ["a.png", "a.png::b.png"]
        assert not made.faults
