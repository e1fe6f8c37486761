"""A worker, without Ray around it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from mirnet.environment import code_sha256
from mirnet.errors import ClusterError, MissingDependencyError
from mirnet.imaging.photo import Photo
from mirnet.inference.cluster.worker import Site, Worker
from mirnet.inference.jobs import Job
from mirnet.inference.ledger import content_of
from mirnet.inference.places import Address, on_disk
from mirnet.inference.views import Views

logger = logging.getLogger("mirnet")


class Copies:
    """Steps that write a photo's name, log it, and refuse the one that is called ``bad``."""

    def read(self, job: Job) -> Views:
        return (Photo(pixels=np.zeros((1, 1, 3), np.uint8)),)

    def read_ahead(self, job: Job) -> Views | None:
        return None

    def restore(self, views: Views, job: Job) -> Photo:
        logger.info("%s: goes in tiles", job.source.name)
        if job.source.name == "bad":
            raise RuntimeError("out of\nmemory")
        return views[0]

    def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
        target.write_text(target.name)
        return ("a note",)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """What holds on this machine; loggers are as they were afterwards."""
    before, home = (logger.level, logger.propagate, logger.handlers[:]), Path.cwd()
    mark = tmp_path / "mark"
    mark.touch()
    yield Site(code=code_sha256(), home=None, mark=mark, photos=tmp_path, level=logging.INFO)
    logger.level, logger.propagate, logger.handlers[:] = before
    os.chdir(home)


@pytest.fixture
def job(tmp_path: Path) -> Callable[[str], Job]:
    def make(name: str) -> Job:
        (tmp_path / name).write_text(name)
        return Job(tmp_path / name, tmp_path / "out" / name)

    return make


def loaded(site: Site, steps: Copies | None = None) -> Worker:
    worker = Worker()
    worker.load(lambda cores, share: steps or Copies(), site, 1, 1)
    return worker


def test_it_says_what_came_of_a_photo_and_what_was_logged(
    site: Site, job: Callable[[str], Job]
) -> None:
    worker = loaded(site)
    good, bad = job("good"), job("bad")
    came = worker.restore(good)
    assert (came.content, came.notes) == (content_of(good.source), ("a note",))
    assert came.failure is None
    assert came.said == ((logging.INFO, "good: goes in tiles"),)
    assert on_disk(good.target).read_text() == "good"
    came = worker.restore(bad)
    assert came.failure == f"{bad.source}: RuntimeError: out of memory"
    assert came.said == ((logging.INFO, "bad: goes in tiles"),)
    gone = Job(on_disk(bad.source).with_name("gone"), bad.target)
    assert str(worker.restore(gone).failure).startswith(f"{gone.source}: No such file")


def test_it_has_at_least_one_core_and_is_told_how_many_share(site: Site) -> None:
    asked = []

    def make(cores: int, share: int) -> Copies:
        asked.append((cores, share))
        return Copies()

    Worker().load(make, site, 0, 3)
    Worker().load(make, site, 4, 1)
    assert asked == [(1, 3), (4, 1)]


def test_a_node_that_lacks_what_all_need_is_refused(site: Site, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    for other, words in (
        (replace(site, code="0"), "has another version of mirnet"),
        (replace(site, mark=gone), f"doesn't have {gone}"),
        (replace(site, photos=gone), f"doesn't have {gone}"),
        (replace(site, home=gone), f"doesn't have {gone}"),
    ):
        with pytest.raises(ClusterError, match=words):
            loaded(other)


def test_relative_paths_begin_where_the_batch_was_started(
    site: Site, job: Callable[[str], Job], tmp_path: Path
) -> None:
    made = job("good")
    worker = loaded(replace(site, home=tmp_path, mark=Path("mark"), photos=Path()))
    assert worker.restore(Job(Path("good"), Path("out/good"))).failure is None
    assert on_disk(made.target).exists()


def test_when_it_has_finished_nothing_is_written_any_more(
    site: Site, job: Callable[[str], Job]
) -> None:
    begun, go_on, order = Event(), Event(), list[str]()

    class Waits(Copies):
        def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
            begun.set()
            assert go_on.wait(10)
            order.append("written")
            return super().write(photo, target)

    worker = loaded(site, Waits())
    first, second = job("first"), job("second")

    def finish() -> None:
        ((last, came),) = worker.finish()
        assert (last, came.failure) == (first, None)
        order.append("finished")

    threads = [Thread(target=worker.restore, args=(first,), daemon=True), Thread(target=finish)]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert order == ["written", "finished"]
    late = Thread(target=worker.restore, args=(second,), daemon=True)
    late.start()
    late.join(0.2)
    assert late.is_alive()
    assert not on_disk(second.target).exists()


def test_leftovers_of_this_machine_are_removed_from_the_folders_it_writes_in(
    site: Site, job: Callable[[str], Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mirnet import atomic

    made = job("good")
    on_disk(made.target).parent.mkdir()
    monkeypatch.setattr("mirnet.atomic.psutil.pid_exists", lambda number: number == os.getpid())
    name = f"{atomic.signature()}1.tmp.png".replace(str(os.getpid()), "1")
    left = on_disk(made.target).parent / name
    left.touch()
    assert loaded(site).restore(made).failure is None
    assert not left.exists()


def test_what_came_from_a_store_goes_when_the_photo_has_been_answered_for(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = tmp_path / "downloads"
    for name in ("downloads", "in"):
        (tmp_path / name).mkdir()
    (tmp_path / "in" / "a.png").write_text("photo")
    monkeypatch.setattr("tempfile.tempdir", str(downloads))
    seen = list[Path]()

    class Looks(Copies):
        def restore(self, views: Views, job: Job) -> Photo:
            seen.append(on_disk(job.source))
            assert on_disk(job.source).read_text() == "photo"
            logger.info("%s: goes in tiles", job.source)
            if len(seen) == 2:
                raise RuntimeError(f"{job.source}: no")
            return views[0]

    worker = loaded(site, Looks())
    source, target = Address(f"file://{tmp_path}/in/a.png"), Address(f"file://{tmp_path}/o/a.png")
    came = worker.restore(Job(source, target))
    assert (came.failure, came.said) == (None, ((logging.INFO, f"{source}: goes in tiles"),))
    assert came.content == content_of(source)
    assert (tmp_path / "o" / "a.png").exists()
    assert f"{source}: no" in str(worker.restore(Job(source, target)).failure)
    gone = Job(source.parent / "b.png", target)
    assert worker.restore(gone).failure == f"{gone.source}: there is no such photo or folder"
    assert [path.parent for path in seen] == [downloads, downloads]
    assert list(downloads.iterdir()) == []


def test_a_node_that_can_not_speak_to_a_store_is_refused(site: Site) -> None:
    with pytest.raises(MissingDependencyError, match=r"^node .*nowhere://…: .*on every machine"):
        loaded(replace(site, mark=None, photos=None, protocols=frozenset(("file", "nowhere"))))
