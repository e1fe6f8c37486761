"""A folder that photos arrive in: written in pieces, replaced, cut, removed, unplugged."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet.choices import OutputDepth
from mirnet.errors import PhotoError
from mirnet.imaging.io import read_photo, write_photo, written_suffix
from mirnet.imaging.photo import Photo
from mirnet.inference.batch import Outcome
from mirnet.inference.files import FileSteps
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.planning import plan
from mirnet.inference.restorer import Restorer
from mirnet.inference.watching import LOCK, Arrivals, watch
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import random_pixels
from tests.imaging.containers.dngs import dng
from tests.imaging.containers.heics import heic

SETTLE_S = 0.2
PATIENCE_S = 120.0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Watcher:
    """What a watcher in a thread has said and done so far."""

    restored: int = 0
    skipped: int = 0
    loaded: int = 0
    failures: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def told(self, outcome: Outcome) -> None:
        self.failures += outcome.failures.values()
        self.skipped += outcome.skipped
        self.restored += outcome.restored


@dataclass
class Folders:
    photos: Path
    results: Path
    steps: FileSteps

    def put(self, name: str, seed: int = 0, shape: tuple[int, int, int] = (12, 16, 3)) -> Path:
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_photo(Photo(pixels=random_pixels(shape, seed=seed)), path)
        return path

    def once(self, **kind: Any) -> Watcher:
        """Do what is there, and end."""
        seen = Watcher()
        kind = self._kind(seen) | kind
        watch(self.photos, self.results, self._load(seen), once=True, **kind)
        return seen

    @contextmanager
    def watched(self, **kind: Any) -> Iterator[Watcher]:
        """Watch in a thread until the block ends."""
        seen, ends = Watcher(), threading.Event()
        kind = self._kind(seen) | kind | {"cancelled": ends.is_set}
        thread = threading.Thread(
            target=watch, args=(self.photos, self.results, self._load(seen)), kwargs=kind
        )
        thread.start()
        try:
            yield seen
        finally:
            ends.set()
            thread.join()

    def _load(self, seen: Watcher) -> Callable[[], FileSteps]:
        def load() -> FileSteps:
            seen.loaded += 1
            return self.steps

        return load

    def _kind(self, seen: Watcher) -> dict[str, Any]:
        return {"settle_s": SETTLE_S, "told": seen.told, "says": seen.lines.append}


@pytest.fixture
def folders(tmp_path: Path, tiny_model: MIRNetV2) -> Folders:
    (tmp_path / "in").mkdir()
    restorer = Restorer(tiny_model, device="cpu", runtime="torch")
    return Folders(tmp_path / "in", tmp_path / "out", FileSteps(restorer))


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.01)


def visible(folder: Path) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found if path.name[0] != ".")


def found(folders: Folders) -> Plan:
    return plan([str(folders.photos)], folders.results, suffix=None, may_be_empty=True)


def names(told: Plan) -> list[str]:
    return [job.source.name for job in told.jobs]


def test_a_file_is_told_when_it_has_not_changed_for_a_while_and_once(folders: Folders) -> None:
    path, clock = folders.put("a.png"), Clock()
    arrivals = Arrivals(2.0, clock)
    assert names(arrivals.whole(found(folders))) == []
    clock.now += 1.9
    assert names(arrivals.whole(found(folders))) == []
    path.write_bytes(path.read_bytes() + b"more")  # and the 2 s begin anew
    clock.now += 1.9
    assert names(arrivals.whole(found(folders))) == []
    clock.now += 1.9
    assert arrivals.are_due
    assert names(arrivals.whole(found(folders))) == []
    clock.now += 0.2
    assert names(arrivals.whole(found(folders))) == ["a.png"]
    assert not arrivals.are_due
    clock.now += 100
    assert names(arrivals.whole(found(folders))) == []
    path.touch()
    assert names(arrivals.whole(found(folders))) == []
    clock.now += 2.0
    assert names(arrivals.whole(found(folders))) == ["a.png"]


def test_what_goes_before_it_settles_is_forgotten(folders: Folders) -> None:
    path, clock = folders.put("a.png"), Clock()
    arrivals = Arrivals(1.0, clock)
    planned = found(folders)
    arrivals.whole(planned)
    path.unlink()
    clock.now += 2
    assert names(arrivals.whole(planned)) == []  # it went after it was found
    assert not arrivals.are_due


def test_either_view_of_a_photo_must_have_settled(folders: Folders) -> None:
    left, right = folders.put("a_L.png"), folders.put("a_R.png")
    clock = Clock()
    arrivals = Arrivals(1.0, clock)
    both = Plan([Job(left, folders.results / "a.png", right)])
    arrivals.whole(both)
    clock.now += 0.9
    right.touch()
    assert names(arrivals.whole(both)) == []
    clock.now += 0.9
    assert names(arrivals.whole(both)) == []
    clock.now += 0.2
    assert names(arrivals.whole(both)) == ["a_L.png"]


def test_a_fault_that_stays_is_told_once(folders: Folders) -> None:
    clock = Clock()
    arrivals = Arrivals(1.0, clock)
    faulty = Plan(faults={Path("a"): "a: is no good"})
    assert arrivals.whole(faulty).faults == {}
    clock.now += 1
    assert arrivals.whole(faulty).faults == faulty.faults
    clock.now += 1
    assert arrivals.whole(faulty).faults == {}


def test_once_does_what_is_there_and_passes_by_what_is_on_its_way(folders: Folders) -> None:
    folders.put("a.png", 1)
    whole = folders.put("evening/b.jpg", 2).read_bytes()
    for name in ("c.jpg.part", "d.jpg.crdownload", "e.tmp", ".hidden.jpg", "~f.jpg.tmp"):
        (folders.photos / name).write_bytes(whole)
    seen = folders.once()
    assert (seen.restored, seen.failures, seen.loaded) == (2, [], 1)
    assert visible(folders.results) == ["a.png", "evening/b.jpg"]
    assert seen.lines == [f"watching {folders.photos}; results go to {folders.results}"]
    again = folders.once()
    assert (again.restored, again.skipped, again.loaded) == (0, 2, 0)
    assert not (folders.results / LOCK).exists()


def test_an_empty_folder_is_done_at_once(folders: Folders) -> None:
    began = time.monotonic()
    seen = folders.once(settle_s=3600)
    assert time.monotonic() - began < PATIENCE_S
    assert (seen.restored, seen.failures) == (0, [])


def test_photos_are_restored_as_they_arrive_by_a_network_that_is_loaded_once(
    folders: Folders,
) -> None:
    with folders.watched() as seen:
        for number in range(3):
            folders.put(f"{number}.png", number)
            wait_for(lambda count=number + 1: seen.restored == count)  # type: ignore[misc]
    assert visible(folders.results) == ["0.png", "1.png", "2.png"]
    assert seen.loaded == 1
    assert seen.failures == []


def test_a_photo_that_is_written_in_pieces_is_restored_when_it_is_whole(folders: Folders) -> None:
    elsewhere = folders.put("whole.jpg", shape=(200, 300, 3))
    whole = elsewhere.read_bytes()
    elsewhere.unlink()
    with folders.watched(settle_s=1) as seen, (folders.photos / "a.jpg").open("wb") as file:
        for start in range(0, len(whole), len(whole) // 12 + 1):  # in 1.8 s
            file.write(whole[start : start + len(whole) // 12 + 1])
            file.flush()
            time.sleep(0.15)
        assert not (folders.results / "a.jpg").exists()
        wait_for(lambda: seen.restored == 1)
    assert seen.failures == []
    assert read_photo(folders.results / "a.jpg").pixels.shape == (200, 300, 3)


def test_photos_of_phones_and_cameras_are_restored_and_looked_at_once(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def suffix_of(path: Path, depth: OutputDepth) -> str | None:
        looked.append(path.name)
        return written_suffix(path, depth)

    monkeypatch.setattr("mirnet.inference.planning.written_suffix", suffix_of)
    pixels = random_pixels((24, 32, 3))
    (folders.photos / "a.heic").write_bytes(heic(pixels))
    (folders.photos / "b.dng").write_bytes(dng(pixels / 255))
    with folders.watched() as seen:
        wait_for(lambda: seen.restored == 2)
        deep = pixels.astype(np.uint16) * 257
        (folders.photos / "a.heic").write_bytes(heic(deep, bits=10))
        wait_for(lambda: seen.restored == 3)
    assert visible(folders.results) == ["a.jpg", "a.tif", "b.tif"]
    assert Counter(looked) == {"a.heic": 2, "b.dng": 1}


def test_a_photo_that_stays_cut_fails_once_and_is_tried_again_when_it_changes(
    folders: Folders,
) -> None:
    path = folders.put("a.jpg", shape=(64, 64, 3))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with folders.watched() as seen:
        wait_for(lambda: seen.failures != [])
        time.sleep(3 * SETTLE_S)
        assert len(seen.failures) == 1
        assert "truncated or damaged" in seen.failures[0]
        path.write_bytes(whole)
        wait_for(lambda: seen.restored == 1)
    assert len(seen.failures) == 1


def test_a_photo_that_is_replaced_is_restored_again(folders: Folders) -> None:
    folders.put("a.png", 1)
    folders.put("b.png", 3)
    with folders.watched() as seen:
        wait_for(lambda: seen.restored == 2)
        first = read_photo(folders.results / "a.png").pixels
        folders.put("a.png", 2)
        wait_for(lambda: seen.restored == 3)
    second = read_photo(folders.results / "a.png").pixels
    assert not np.array_equal(first, second)
    folders.put("a.png", 1)  # while nobody watches
    again = folders.once()
    assert (again.restored, again.skipped, again.failures) == (1, 1, [])
    assert np.array_equal(read_photo(folders.results / "a.png").pixels, first)


def test_another_photo_of_the_same_name_does_not_take_the_place_of_a_result(
    folders: Folders, tmp_path: Path
) -> None:
    folders.put("a.png", 1)
    folders.once()
    before = (folders.results / "a.png").read_bytes()
    folders.photos = tmp_path / "other"
    folders.put("a.png", 2)
    seen = folders.once()
    assert len(seen.failures) == 1
    assert "is there already, made from" in seen.failures[0]
    assert (folders.results / "a.png").read_bytes() == before


def test_overwrite_restores_what_is_there_once(folders: Folders) -> None:
    folders.put("a.png")
    folders.once()
    assert folders.once(overwrite=True).restored == 1
    assert folders.once().restored == 0


def test_a_folder_that_goes_is_told_once_and_waited_for(folders: Folders) -> None:
    folders.put("a.png", 1)
    away = folders.photos.with_name("away")
    with folders.watched() as seen:
        wait_for(lambda: seen.restored == 1)
        folders.photos.rename(away)
        wait_for(lambda: len(seen.lines) == 2)
        time.sleep(2 * SETTLE_S)
        away.rename(folders.photos)
        folders.put("b.png", 2)
        wait_for(lambda: seen.restored == 2)
        (folders.photos / "a.png").unlink()
        folders.put("c.png", 3)
        wait_for(lambda: seen.restored == 3)
        shutil.move(folders.results, away)
        wait_for(lambda: len(seen.lines) == 3)
    gone = "is not there; waiting for it"
    assert seen.lines[1:] == [f"{folders.photos}: {gone}", f"{folders.results}: {gone}"]
    assert seen.failures == []


def test_results_within_the_folder_are_not_restored_in_their_turn(folders: Folders) -> None:
    folders.results = folders.photos / "restored"
    folders.put("a.png")
    for restored in (1, 0):
        assert folders.once().restored == restored
    assert visible(folders.photos) == ["a.png", "restored/a.png"]


def test_two_watchers_do_not_share_an_output(folders: Folders) -> None:
    with folders.watched() as seen:
        wait_for(lambda: seen.lines != [])
        with pytest.raises(PhotoError, match="another `mirnet watch` restores into it"):
            folders.once()
    assert folders.once().failures == []


def test_what_can_t_be_watched_is_refused(folders: Folders, tmp_path: Path) -> None:
    folders.results, results = folders.photos, folders.results
    with pytest.raises(PhotoError, match="is the folder that is watched"):
        folders.once()
    folders.results, folders.photos = results, tmp_path / "gone"
    with pytest.raises(PhotoError, match="there is no such folder"):
        folders.once()
    folders.photos, folders.results = tmp_path / "in", tmp_path / "file"
    folders.results.write_text("")
    with pytest.raises(PhotoError, match="can't be written"):
        folders.once()


def test_an_output_that_can_not_be_written_is_said_once_and_tried_again(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirnet.inference import batch

    tries = list[Path]()

    def refuse(output: Path) -> None:
        tries.append(output)
        if len(tries) <= 2:
            raise PhotoError(f"{output}: can't be written (full)")

    monkeypatch.setattr(batch, "require_writable", refuse)
    photo = folders.put("a.png")
    with folders.watched() as seen:
        wait_for(lambda: seen.restored == 1)
    assert len(tries) == 3
    waits = [line for line in seen.lines if "waits" in line]
    assert waits == [f"{photo}: waits, since {folders.results}: can't be written (full)"]
    assert seen.failures == []
