import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.batch import run
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.ledger import NAME, Ledger, content_of
from mirnet.inference.places import on_disk
from mirnet.inference.planning import plan
from mirnet.inference.views import Views
from tests.conftest import random_pixels
from tests.data.publishers import put


@pytest.fixture
def two_of_a_name(tmp_path: Path) -> tuple[Path, Path]:
    return tuple(  # type: ignore[return-value]
        put(tmp_path / folder / "a.png", random_pixels((8, 8, 3), seed=seed))
        for seed, folder in enumerate(("monday", "tuesday"))
    )


class Copies:
    """Steps without a network."""

    def read(self, job: Job) -> Views:
        return tuple(read_photo(on_disk(source)) for source in job.sources)

    read_ahead = read

    def restore(self, views: Views, job: Job) -> Photo:
        return views[0]

    def write(self, photo: Photo, target: Path) -> tuple[str, ...]:
        return write_photo(photo, target)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_photo_of_the_same_name_is_no_excuse(
    two_of_a_name: tuple[Path, Path], tmp_path: Path, overwrite: bool
) -> None:
    monday, tuesday = two_of_a_name
    output = tmp_path / "restored"
    for source in (monday, tuesday):
        planned = plan([str(source)], output, suffix=None)
        outcome = run(planned, Copies, output=output, overwrite=overwrite)
        if source == monday:
            assert outcome.restored == 1
    told = f"{tuesday}: {output / 'a.png'} is there already, made from {monday}; name another"
    assert outcome.failures[tuesday].startswith(told)
    assert (outcome.restored, outcome.skipped) == (0, 0)
    kept = read_photo(output / "a.png").pixels
    assert np.array_equal(kept, read_photo(monday).pixels)
    again = run(plan([str(monday)], output, suffix=None), Copies, output=output)
    assert again.skipped == 1


def test_results_without_a_note_count_as_done(
    two_of_a_name: tuple[Path, Path], tmp_path: Path
) -> None:
    output = tmp_path / "restored"
    put(output / "a.png", random_pixels((8, 8, 3)))
    outcome = run(plan([str(two_of_a_name[0])], output, suffix=None), Copies, output=output)
    assert outcome.skipped == 1
    assert not outcome.failures


def test_the_same_photo_elsewhere_is_done(two_of_a_name: tuple[Path, Path], tmp_path: Path) -> None:
    monday, _ = two_of_a_name
    output = tmp_path / "restored"
    run(plan([str(monday)], output, suffix=None), Copies, output=output)
    moved = tmp_path / "archive"
    monday.parent.rename(moved)
    again = run(plan([str(moved)], output, suffix=None), Copies, output=output)
    assert again.skipped == 1


def test_another_photo_in_the_same_place_is_told_and_replaced_if_asked(
    two_of_a_name: tuple[Path, Path], tmp_path: Path
) -> None:
    """A memory card has the same path every time."""
    monday, tuesday = two_of_a_name
    output = tmp_path / "restored"
    planned = plan([str(monday)], output, suffix=None)
    run(planned, Copies, output=output)
    tuesday.replace(monday)
    outcome = run(planned, Copies, output=output)
    assert "was made from what this photo was before; --overwrite" in outcome.failures[monday]
    assert run(planned, Copies, output=output, overwrite=True).restored == 1
    assert run(planned, Copies, output=output).skipped == 1


def test_what_was_made_in_another_way_is_told_and_made_anew_if_asked(
    two_of_a_name: tuple[Path, Path], tmp_path: Path
) -> None:
    """A photo that was denoised into a folder is not yet brightened."""
    monday, _ = two_of_a_name
    output = tmp_path / "restored"
    planned = plan([str(monday)], output, suffix=None)
    denoised, brighter = {"weights": "a1", "strength": 1}, {"weights": "b2", "strength": 1}
    run(planned, Copies, output=output, way=lambda: denoised)
    assert run(planned, Copies, output=output, way=lambda: denoised).skipped == 1
    outcome = run(planned, Copies, output=output, way=lambda: brighter)
    assert "was made with other weights or options; --overwrite" in outcome.failures[monday]
    assert run(planned, Copies, output=output, way=lambda: brighter, overwrite=True).restored == 1
    assert run(planned, Copies, output=output, way=lambda: brighter).skipped == 1


def test_notes_go_with_their_folder(two_of_a_name: tuple[Path, Path], tmp_path: Path) -> None:
    monday, tuesday = two_of_a_name
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    Ledger(here).note(Job(monday, here / "sub" / "a.png"), content_of(monday), {})
    with (here / NAME).open("a") as lines:
        lines.write('{"result": "b.png", "sou')
    moved = here.rename(tmp_path / "moved")
    again = Ledger(moved)
    told = again.objection(Job(tuesday, moved / "sub" / "a.png"), {}, overwrite=True)
    assert told is not None
    assert str(monday) in told
    assert again.objection(Job(monday, moved / "sub" / "a.png"), {}, overwrite=False) is None
    assert again.objection(Job(tuesday, moved / "b.png"), {}, overwrite=False) is None


def test_a_ledger_that_can_t_be_written_stops_nothing(
    two_of_a_name: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / NAME).mkdir()
    ledger = Ledger(tmp_path)
    ledger.note(Job(two_of_a_name[0], tmp_path / "a.png"), "x", {})
    assert ledger.objection(Job(two_of_a_name[1], tmp_path / "a.png"), {}, overwrite=False)


def test_a_note_that_was_cut_spoils_no_other(
    two_of_a_name: tuple[Path, Path], tmp_path: Path
) -> None:
    """A disk that was full for a moment, in the middle of a line."""
    first, second = (
        Job(source, tmp_path / name)
        for source, name in zip(two_of_a_name, ("a.png", "b.png"), strict=True)
    )
    ledger, as_it_is = Ledger(tmp_path), Path.open
    ledger.note(first, "0", {"weights": "a"})

    def cut(path: Path, *arguments: Any, **named: Any) -> Any:
        with as_it_is(path, *arguments, **named) as file:
            file.write('{"result": "half')
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "open", cut)
        ledger.note(first, "1", {"weights": "a"})
    ledger.note(second, "2", {"weights": "b"})
    again = Ledger(tmp_path)
    for job in (first, second):
        assert again.objection(job, {"weights": "c"}, overwrite=False)


def test_a_right_view_that_changes_makes_another_photo(
    two_of_a_name: tuple[Path, Path], tmp_path: Path
) -> None:
    left, right = two_of_a_name
    job = Job(left, tmp_path / "restored" / "a.png", right)
    for restored, skipped, failed in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        outcome = run(Plan([job]), Copies, output=tmp_path / "restored")
        counts = outcome.restored, outcome.skipped, len(outcome.failures)
        assert counts == (restored, skipped, failed)
        if skipped:
            put(right, random_pixels((8, 8, 3), seed=7))


def test_photos_that_differ_at_either_end_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a"
    seen = set()
    for content in (b"", b"a" * 200_000, b"b" + b"a" * 199_999, b"a" * 199_999 + b"b", b"a" * 9):
        path.write_bytes(content)
        seen.add(content_of(path))
    assert len(seen) == 5


def test_a_result_is_outdated_when_its_own_photo_was_replaced(
    two_of_a_name: tuple[Path, Path], tmp_path: Path
) -> None:
    monday, tuesday = two_of_a_name
    job = Job(monday, tmp_path / "out" / "a.png")
    assert not Ledger(tmp_path / "out").is_outdated(job)
    run(Plan([job]), Copies, output=tmp_path / "out")
    ledger = Ledger(tmp_path / "out")
    assert not ledger.is_outdated(job)
    assert not ledger.is_outdated(Job(tuesday, job.target))  # it is another's
    monday.write_bytes(tuesday.read_bytes())
    assert ledger.is_outdated(job)
    monday.unlink()
    assert not ledger.is_outdated(job)
