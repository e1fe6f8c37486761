"""DND's files, read back by scipy, and by Octave where there is one, as its server's tools do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from scipy.io import loadmat
from torch import Tensor

from mirnet.data.pair import Pair
from mirnet.data.sources import find_pairs
from mirnet.errors import DataError, MissingDependencyError, one_line
from mirnet.evaluation.journal import OtherScoresError
from mirnet.evaluation.method import Method
from mirnet.evaluation.submission import write_submission
from tests.conftest import signature_of
from tests.data import publishers
from tests.data.publishers import picture
from tests.octave import needs_octave, octave

HALF = Method(name="half", identity={}, restore=lambda _, views: views / 2)


@pytest.fixture
def boxes(tmp_path: Path) -> tuple[Pair, ...]:
    return find_pairs(publishers.dnd(tmp_path / "data"), "dnd", "test")


def test_a_file_holds_what_the_server_takes(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    seen = []
    out = tmp_path / "out"
    assert write_submission(HALF, boxes, out, progress=lambda *at: seen.append(at)) == ()
    assert seen == [(2, 4), (4, 4)]
    files = out / "submission"
    assert sorted(path.name for path in files.iterdir()) == ["0001.mat", "0002.mat"]
    found = loadmat(files / "0002.mat")
    assert found["Idenoised"].shape == (1, 2)
    assert found["israw"].item() == 0
    assert found["eval_version"].item() == "1.0"
    whole = (picture(1) / 255).astype(np.float32)
    for place, (rows, columns) in enumerate(
        ((slice(16), slice(20)), (slice(10, 40), slice(8, 48)))
    ):
        box = found["Idenoised"][0, place]
        assert box.dtype == np.float32
        assert np.array_equal(box, whole[rows, columns] / 2)


def test_a_photo_that_lacks_a_box_is_a_fault(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    left = tuple(pair for pair in boxes if pair.id != "0001-02")
    (fault,) = write_submission(HALF, left, tmp_path, unreadable={"0001-02": "is torn"})
    assert (fault.id, fault.why) == ("0001", "is torn")
    assert [path.name for path in (tmp_path / "submission").iterdir()] == ["0002.mat"]


def test_scipy_is_looked_for_before_anything_is_restored(
    boxes: tuple[Pair, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirnet.evaluation.submission.find_spec", lambda _: None)
    method = Method(name="never", identity={}, restore=lambda *_: pytest.fail("restored"))
    with pytest.raises(MissingDependencyError, match="a submission needs scipy"):
        write_submission(method, boxes, tmp_path)


@needs_octave
def test_octave_reads_a_submission(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    write_submission(HALF, boxes, tmp_path)
    script = f"""
        s = load('{tmp_path / "submission" / "0001.mat"}');
        box = s.Idenoised{{2}};
        printf('%s %d %d %s %s %d %d %d %.9f', class(s.Idenoised), size(s.Idenoised), ...
            class(s.israw), s.eval_version, size(box), sum(double(box(:))));
    """
    *facts, total = octave(script).split()
    assert facts == ["cell", "1", "2", "logical", "1.0", "30", "40", "3"]
    expected = ((picture(0) / 255).astype(np.float32)[10:40, 8:48] / 2).astype(np.float64).sum()
    assert float(total) == pytest.approx(expected, abs=1e-6)


def test_a_stopped_submission_goes_on(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    seen: list[str] = []

    def restore(pair: Pair, views: Tensor) -> Tensor:
        seen.append(pair.id)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return views

    method = Method(name="m", identity={}, restore=restore)
    with pytest.raises(KeyboardInterrupt):
        write_submission(method, boxes, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "submission").iterdir()] == ["0001.mat"]
    write_submission(method, boxes, tmp_path / "out")
    assert seen[4:] == ["0002-01", "0002-02"]


def test_a_photo_that_fails_is_named_and_the_rest_written(
    boxes: tuple[Pair, ...], tmp_path: Path
) -> None:
    def restore(pair: Pair, views: Tensor) -> Tensor:
        return views * float("nan") if pair.id == "0001-02" else views

    faults = write_submission(
        Method(name="m", identity={}, restore=restore), boxes, tmp_path / "out"
    )
    assert [fault.id for fault in faults] == ["0001"]
    assert "not finite" in faults[0].why
    assert [path.name for path in (tmp_path / "out" / "submission").iterdir()] == ["0002.mat"]


def test_files_of_two_methods_are_not_mixed(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    write_submission(HALF, boxes, tmp_path)
    write_submission(HALF, boxes, tmp_path)
    other = Method(name="half", identity={"weights": "others"}, restore=HALF.restore)
    with pytest.raises(OtherScoresError, match="holds a submission of another method"):
        write_submission(other, boxes, tmp_path)


def test_a_file_of_other_pictures_is_made_again(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    stamp = {"0001": "old", "0002": "old"}
    level = {"0001": 0.25, "0002": 0.25}

    def scene(pair: Pair) -> str:
        return pair.id.rpartition("-")[0]

    method = Method(
        name="theirs",
        identity={},
        restore=lambda pair, views: torch.full_like(views, level[scene(pair)]),
        stamp=lambda pair: stamp[scene(pair)],
    )
    files = tmp_path / "submission"
    write_submission(method, boxes, tmp_path)
    first = (files / "0001.mat").stat().st_mtime_ns
    level["0002"], stamp["0002"] = 0.75, "new"
    level["0001"] = 0.75  # unseen: its stamp is the same
    write_submission(method, boxes, tmp_path)
    assert (files / "0001.mat").stat().st_mtime_ns == first
    for name, value in (("0001", 0.25), ("0002", 0.75)):
        assert loadmat(files / f"{name}.mat")["Idenoised"][0, 0].max() == np.float32(value)


def test_a_file_that_was_changed_since_is_made_again(
    boxes: tuple[Pair, ...], tmp_path: Path
) -> None:
    write_submission(HALF, boxes, tmp_path)
    sound, other = (tmp_path / "submission" / f"{scene}.mat" for scene in ("0001", "0002"))
    kept, whole = sound.stat().st_mtime_ns, loadmat(other)["Idenoised"]
    other.write_bytes(other.read_bytes()[:500])
    write_submission(HALF, boxes, tmp_path)
    assert sound.stat().st_mtime_ns == kept
    for box, again in zip(whole[0], loadmat(other)["Idenoised"][0], strict=True):
        assert np.array_equal(box, again)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("too deep"), KeyError("x")])
def test_whatever_a_method_raises_stops_no_other_photo(
    error: Exception, boxes: tuple[Pair, ...], tmp_path: Path
) -> None:
    (fault,) = write_submission(failing(error), boxes, tmp_path)
    assert (fault.id, fault.why) == ("0001", one_line(error))
    assert [path.name for path in (tmp_path / "submission").iterdir()] == ["0002.mat"]


def failing(error: Exception) -> Method:
    """As `HALF`, but that one photo fails, and has changed."""

    def restore(pair: Pair, views: Tensor) -> Tensor:
        if pair.id == "0001-02":
            raise error
        return views / 2

    return Method(
        name="half", identity={}, restore=restore, stamp=lambda pair: pair.id.partition("-02")[1]
    )


@pytest.mark.parametrize("is_unreadable", [False, True])
def test_no_file_of_before_is_sent_for_a_photo_that_fails_now(
    is_unreadable: bool, boxes: tuple[Pair, ...], tmp_path: Path
) -> None:
    files = tmp_path / "submission"
    write_submission(HALF, boxes, tmp_path)
    assert (files / "0001.mat").exists()
    if is_unreadable:
        write_submission(HALF, boxes, tmp_path, unreadable={"0001-02": "is torn"})
    else:
        write_submission(failing(MemoryError()), boxes, tmp_path)
    assert [path.name for path in files.iterdir()] == ["0002.mat"]
    assert write_submission(HALF, boxes, tmp_path) == ()
    assert (files / "0001.mat").exists()


def test_what_a_killed_run_left_is_not_sent(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    (tmp_path / "submission").mkdir()
    for folder in (tmp_path, tmp_path / "submission"):
        (folder / f"{signature_of(process.pid)}0011.tmp.mat").touch()
    write_submission(HALF, boxes, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.name]


def test_two_runs_do_not_write_one_submission(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(DataError, match="another run scores into it"):
        write_submission(HALF, boxes, tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[1]"])
def test_a_damaged_record_is_named(boxes: tuple[Pair, ...], tmp_path: Path, damage: str) -> None:
    write_submission(HALF, boxes, tmp_path)
    (tmp_path / "made_of.json").write_text(damage)
    with pytest.raises(DataError, match=r"made_of\.json: is damaged; remove it, and all"):
        write_submission(HALF, boxes, tmp_path)


def test_what_a_method_overshoots_is_clamped(boxes: tuple[Pair, ...], tmp_path: Path) -> None:
    beyond = Method(name="beyond", identity={}, restore=lambda _, views: 4 * views - 1)
    assert write_submission(beyond, boxes[:1], tmp_path) == ()
    box = loadmat(tmp_path / "submission" / "0001.mat")["Idenoised"][0, 0]
    assert (box.min(), box.max()) == (0, 1)
