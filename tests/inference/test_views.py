from pathlib import Path

import pytest

from mirnet.inference.jobs import Job
from mirnet.inference.planning import plan
from mirnet.inference.views import partnered, unmarked

PAIRS = {
    "IMG_L.png": ("IMG_R.png", "IMG.png"),
    "IMG-left.tif": ("IMG-right.tif", "IMG.tif"),
    "IMG.Left.tif": ("IMG.Right.tif", "IMG.tif"),
    "0001L.png": ("0001R.png", "0001.png"),
    "SCENE LEFT.png": ("SCENE RIGHT.png", "SCENE.png"),
    "left.png": ("right.png", "left.png"),
    "inputL/1.png": ("inputR/1.png", "input/1.png"),
    "set/left/1.png": ("set/right/1.png", "set/1.png"),
    "test_l/source/1.png": ("test_r/source/1.png", "test/source/1.png"),
}
"""The left view, the right one, and what is made of them."""


@pytest.mark.parametrize("left", PAIRS)
def test_views_find_each_other_by_their_names(left: str, tmp_path: Path) -> None:
    right, made = PAIRS[left]
    for name in (left, right):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = partnered(tmp_path / left)
    assert found is not None
    assert found[:2] == ("left", tmp_path / right)
    assert partnered(tmp_path / right) == ("right", tmp_path / left, found.level)
    assert unmarked(Path(left), found.level) == Path(made)
    output = tmp_path / "out"
    jobs = [Job(tmp_path / left, output / made, tmp_path / right)]
    assert plan([str(tmp_path)], output, suffix=None, views=2).jobs == jobs
    assert len(plan([str(tmp_path)], output, suffix=None).jobs) == 2


@pytest.mark.parametrize("name", ["ball.png", "IMG_L.png", "R.png", "L/car.png", "plain.png"])
def test_a_picture_without_a_partner_is_one_picture(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / "balr.png").touch()
    assert partnered(tmp_path / name) is None
    assert (
        Job(tmp_path / name, tmp_path / "out" / name)
        in plan([str(tmp_path)], tmp_path / "out", suffix=None, views=2).jobs
    )


def test_views_in_folders_are_found_from_either_folder_and_by_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "1.png").touch()
    monkeypatch.chdir(tmp_path / "left")
    found = partnered(Path("1.png"))
    assert found is not None
    assert found.partner.samefile(tmp_path / "right" / "1.png")
    planned = plan(["1.png"], tmp_path / "out", suffix=".tif", views=2)
    assert [job.target for job in planned.jobs] == [tmp_path / "out" / "1.tif"]
    refused = plan([str(tmp_path / "right")], tmp_path / "out", suffix=None, views=2)
    assert refused.jobs == []
    assert "is a right view; name the left one too" in next(iter(refused.faults.values()))
