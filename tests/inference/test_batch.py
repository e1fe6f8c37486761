from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NoReturn

import pytest

from mirnet.errors import PhotoError
from mirnet.inference.batch import run
from mirnet.inference.planning import Job, Plan


def made(folder: Path, *names: str) -> Plan:
    for name in names:
        (folder / name).write_text(name)
    return Plan([Job(folder / name, folder / "out" / name) for name in names])


def write(source: Path, target: Path) -> tuple[str, ...]:
    target.write_text(source.name)
    return ("a note",) if source.name == "noted" else ()


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
def test_whatever_a_photo_raises_the_next_one_is_begun(
    error: Exception, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def restore(source: Path, target: Path) -> tuple[str, ...]:
        if source.name == "bad":
            raise error
        return write(source, target)

    with caplog.at_level(logging.DEBUG, logger="mirnet"):
        outcome = run(made(tmp_path, "a", "bad", "b"), lambda: restore, output=tmp_path / "out")
    assert outcome.restored == 2
    (reason,) = outcome.failures.values()
    assert reason.startswith(f"{tmp_path / 'bad'}: ")
    assert "\n" not in reason
    is_expected = isinstance(error, PhotoError | OSError | MemoryError)
    assert (f": {type(error).__name__}: " in reason) is not is_expected
    assert caplog.records[0].exc_info


def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    def restore(source: Path, target: Path) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(made(tmp_path, "a"), lambda: restore, output=tmp_path / "out")


def test_progress_and_notes_are_told(tmp_path: Path) -> None:
    told: list[Any] = []
    outcome = run(
        made(tmp_path, "a", "noted"),
        lambda: write,
        output=tmp_path / "out",
        progress=lambda done, total, source: told.append((done, total, source.name)),
    )
    assert told == [(0, 2, "a"), (1, 2, "noted"), (2, 2, "noted")]
    assert outcome.notes == {tmp_path / "noted": ("a note",)}


def test_a_batch_that_is_cancelled_goes_on_later(tmp_path: Path) -> None:
    plan, output = made(tmp_path, "a", "b", "c"), tmp_path / "out"
    outcome = run(plan, lambda: write, output=output, cancelled=(output / "a").exists)
    assert (outcome.restored, outcome.is_cancelled) == (1, True)
    outcome = run(plan, lambda: write, output=output)
    assert (outcome.restored, outcome.skipped, outcome.is_cancelled) == (2, 1, False)


def test_faults_of_the_plan_are_failures_and_nothing_is_loaded(tmp_path: Path) -> None:
    plan = Plan()
    plan.refuse("x", "is not there")
    outcome = run(plan, lambda: pytest.fail("was loaded"), output=tmp_path / "out")
    assert outcome.failures == {Path("x"): "x: is not there"}
    assert not (tmp_path / "out").exists()
