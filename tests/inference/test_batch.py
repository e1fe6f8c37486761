from __future__ import annotations

import logging
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from mirnet.errors import PhotoError
from mirnet.imaging.photo import Photo
from mirnet.inference.batch import Outcome, run
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.views import Views
from tests.conftest import signature_of


def made(folder: Path, *names: str) -> Plan:
    for name in names:
        (folder / name).write_text(name)
    return Plan([Job(folder / name, folder / "out" / name) for name in names])


class Copies:
    """Steps that write a photo's name; ``bad`` is refused in the step that is named."""

    def __init__(self, error: BaseException | None = None, step: str = "restore") -> None:
        self.error, self.step = error, step
        self.seen: list[tuple[str, str]] = []

    def _note(self, step: str, name: str) -> None:
        self.seen.append((step, name))
        if self.error and name == "bad" and step == self.step:
            raise self.error

    def read(self, job: Job) -> Views:
        self._note("read", job.source.name)
        return (photo(),)

    def read_ahead(self, job: Job) -> Views | None:
        self._note("read", job.source.name)
        return (photo(),)

    def restore(self, views: Views, job: Job) -> Photo:
        self._note("restore", job.source.name)
        return views[0]

    def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
        self._note("write", target.name)
        target.write_text(target.name)
        return ("a note",) if target.name == "noted" else ()


def photo() -> Photo:
    return Photo(pixels=np.zeros((1, 1, 3), np.uint8))


@pytest.mark.parametrize(
    "error",
    [
        PhotoError("no photo"),
        OSError(28, "No space left on device"),
        MemoryError(),
        RecursionError(),
        RuntimeError("CUDA out of\nmemory"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "odd"),
        AssertionError(),
        KeyError("x"),
    ],
)
@pytest.mark.parametrize("step", ["read", "restore", "write"])
@pytest.mark.parametrize("names", [("a", "bad", "b"), ("bad", "a", "b"), ("a", "b", "bad")])
def test_whatever_a_photo_raises_the_next_one_is_begun(
    error: Exception,
    step: str,
    names: tuple[str, ...],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = Copies(error, step)
    with caplog.at_level(logging.DEBUG, logger="mirnet"):
        outcome = run(made(tmp_path, *names), lambda: steps, output=tmp_path / "out")
    assert outcome.restored == 2
    (reason,) = outcome.failures.values()
    assert reason.startswith(f"{tmp_path / 'bad'}: ")
    assert "\n" not in reason
    is_expected = isinstance(error, PhotoError | OSError | MemoryError)
    assert (f": {type(error).__name__}: " in reason) is not is_expected
    assert caplog.records[0].exc_info


def test_an_interrupt_ends_it_when_the_last_photo_is_written(tmp_path: Path) -> None:
    plan, output, outcome = made(tmp_path, "a", "bad", "b"), tmp_path / "out", Outcome()
    with pytest.raises(KeyboardInterrupt):
        run(plan, lambda: Copies(KeyboardInterrupt()), output=output, outcome=outcome)
    assert outcome.restored == 1
    assert [path.name for path in output.iterdir() if path.name[0] != "."] == ["a"]
    assert run(plan, Copies, output=output).skipped == 1


def test_the_next_is_read_and_the_last_written_while_the_network_runs(tmp_path: Path) -> None:
    """Each step waits for what can only have happened beside it."""
    is_read, is_written = Event(), Event()

    class Meet(Copies):
        def read_ahead(self, job: Job) -> Views | None:
            is_read.set()
            return super().read_ahead(job)

        def restore(self, views: Views, job: Job) -> Photo:
            assert is_read.wait(10)
            if job.source.name == "b":
                assert is_written.wait(10)
            return super().restore(views, job)

        def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
            notes = super().write(photo, target)
            is_written.set()
            return notes

    outcome = run(made(tmp_path, "a", "b"), Meet, output=tmp_path / "out")
    assert (outcome.restored, outcome.failures) == (2, {})


def test_a_photo_that_had_better_wait_is_read_in_its_turn(tmp_path: Path) -> None:
    class Large(Copies):
        def read_ahead(self, job: Job) -> Views | None:
            return None

    steps = Large()
    assert run(made(tmp_path, "a", "b"), lambda: steps, output=tmp_path / "out").restored == 2
    assert [name for step, name in steps.seen if step == "read"] == ["a", "b"]


def test_progress_and_notes_are_told(tmp_path: Path) -> None:
    told: list[Any] = []
    outcome = run(
        made(tmp_path, "a", "noted"),
        Copies,
        output=tmp_path / "out",
        progress=lambda done, total, source: told.append((done, total, source.name)),
    )
    assert told == [(0, 2, "a"), (1, 2, "noted"), (2, 2, "noted")]
    assert outcome.notes == {tmp_path / "noted": ("a note",)}


def test_a_batch_that_is_cancelled_goes_on_later(tmp_path: Path) -> None:
    plan, output = made(tmp_path, "a", "b", "c"), tmp_path / "out"
    answers = iter([False, True])
    outcome = run(plan, Copies, output=output, cancelled=lambda: next(answers))
    assert (outcome.restored, outcome.is_cancelled) == (1, True)
    assert (output / "a").exists()
    outcome = run(plan, Copies, output=output)
    assert (outcome.restored, outcome.skipped, outcome.is_cancelled) == (2, 1, False)


def test_faults_of_the_plan_are_failures_and_nothing_is_loaded(tmp_path: Path) -> None:
    plan = Plan()
    plan.refuse(Path("x"), "is not there")
    outcome = run(plan, lambda: pytest.fail("was loaded"), output=tmp_path / "out")
    assert outcome.failures == {Path("x"): "x: is not there"}
    assert not (tmp_path / "out").exists()


def test_failures_are_listed_in_the_photos_order(tmp_path: Path) -> None:
    class Fails(Copies):
        def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
            raise OSError(28, "No space left on device")

    steps = Fails(PhotoError("no photo"), "read")
    outcome = run(made(tmp_path, "a", "bad", "b"), lambda: steps, output=tmp_path / "out")
    assert [path.name for path in outcome.failures] == ["a", "bad", "b"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    plan, output = made(tmp_path, "a"), tmp_path / "out"
    output.mkdir()
    left = output / f"{signature_of(2**22 + 1)}00000000.tmp.png"  # of no process there can be
    left.touch()
    run(plan, Copies, output=output)
    assert not left.exists()
