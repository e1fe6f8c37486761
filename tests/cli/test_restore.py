import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mirnet.cli.app import main
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.restorer import Restorer
from tests.conftest import random_pixels

MakePhoto = Callable[..., Path]


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    """A folder of 20 photos in two levels: one truncated, one text, one that can't be read."""
    folder = tmp_path / "shots"
    (folder / "evening").mkdir(parents=True)
    for i in range(17):
        place = folder / "evening" if i % 2 else folder
        write_photo(Photo(pixels=random_pixels((12, 16, 3), seed=i)), place / f"{i:02}.png")
    whole = (folder / "00.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not a photo\n")
    (folder / "unreadable.png").symlink_to(folder / "gone.png")
    return folder


def restore(*arguments: object) -> int:
    return main(["restore", *map(str, arguments)])


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def test_a_batch_restores_what_it_can_and_names_what_it_can_t(
    shots: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert restore(shots, "-o", output, "--weights", tiny_weights) == 1
    lines = capsys.readouterr().err.splitlines()
    summary = lines.index("17 restored, 3 failed:")
    reasons = {line.strip().partition(": ")[0]: line for line in lines[summary + 1 :]}
    assert list(reasons) == [
        str(shots / name) for name in ("text.png", "truncated.png", "unreadable.png")
    ]
    assert "is not a PNG" in reasons[str(shots / "text.png")]
    assert "truncated" in reasons[str(shots / "truncated.png")]
    assert "No such file" in reasons[str(shots / "unreadable.png")]
    expected = [f"evening/{i:02}.png" if i % 2 else f"{i:02}.png" for i in range(17)]
    assert files(output) == sorted(expected)


def test_a_second_run_does_nothing_again(
    shots: Path,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    restore(shots, "-o", output, "--weights", tiny_weights)
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.png")}
    capsys.readouterr()
    assert restore(shots, "-o", output, "--weights", tiny_weights) == 1
    assert "0 restored, 17 already done" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.png")} == before


def test_nothing_is_loaded_when_all_is_done(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_photo()
    assert restore(source, "-o", tmp_path / "out", "--weights", tiny_weights) == 0
    monkeypatch.setattr(Restorer, "from_pretrained", lambda *_, **__: pytest.fail("was loaded"))
    assert restore(source, "-o", tmp_path / "out", "--weights", tiny_weights) == 0


def test_a_batch_that_was_killed_leaves_no_partial_file_and_is_finished_by_the_next(
    tiny_weights: Path, tmp_path: Path
) -> None:
    shots, output = tmp_path / "shots", tmp_path / "out"
    shots.mkdir()
    for i in range(12):
        write_photo(Photo(pixels=random_pixels((200, 300, 3), seed=i)), shots / f"{i:02}.png")
    command = [sys.executable, "-m", "mirnet.cli.app", "restore", str(shots), "-o", str(output)]
    command += ["--weights", str(tiny_weights)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (output / "03.png").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = [path for path in output.iterdir() if not path.name.startswith(".")]
    assert 4 <= len(done) < 12
    for path in done:
        assert read_photo(path).header == read_photo(shots / path.name).header
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    assert {f"{i:02}.png" for i in range(12)} <= {path.name for path in output.iterdir()}


def test_overwrite_restores_again(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path
) -> None:
    source, output = make_photo(), tmp_path / "out"
    output.mkdir()
    (output / source.name).write_text("old")
    assert restore(source, "-o", output, "--weights", tiny_weights) == 0
    assert (output / source.name).read_text() == "old"
    assert restore(source, "-o", output, "--weights", tiny_weights, "--overwrite") == 0
    assert read_photo(output / source.name).header == read_photo(source).header


def test_patterns_find_photos(make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path) -> None:
    for name in ("in/a1.png", "in/a2.png", "in/b.png"):
        make_photo(name)
    output = tmp_path / "out"
    assert restore(tmp_path / "in" / "a*.png", "-o", output, "--weights", tiny_weights) == 0
    assert files(output) == ["a1.png", "a2.png"]


def test_results_within_the_folder_are_not_restored_in_their_turn(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path
) -> None:
    make_photo("in/a.png")
    for _ in range(2):
        output = tmp_path / "in" / "restored"
        assert restore(tmp_path / "in", "-o", output, "--weights", tiny_weights) == 0
    assert files(tmp_path / "in") == ["a.png", "restored/a.png"]


def test_two_photos_for_one_result_are_refused(
    make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make_photo("one/a.png"), make_photo("two/a.png")
    assert restore(first, second, "-o", tmp_path / "out") == 1
    assert "would both become" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_photo_named_twice_is_restored_once(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_photo()
    assert restore(source, source, "-o", tmp_path / "out", "--weights", tiny_weights) == 0
    assert "1 restored" in capsys.readouterr().err


def test_strength_depth_and_format_reach_the_file(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path
) -> None:
    source, output = make_photo(), tmp_path / "out"
    options = ["-o", output, "--weights", tiny_weights, "--strength", 0]
    assert restore(source, *options, "--depth", 16, "--format", "tif") == 0
    restored = read_photo(output / "photo.tif").pixels
    assert np.array_equal(restored, read_photo(source).pixels.astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name at least one photo"),
        (["nowhere.png"], "nowhere.png: there is no such photo or folder"),
        (["{photo}", "--strength", "2"], "--strength: must be from 0 to 1"),
        (["{photo}", "--quality", "0"], "--quality: must be from 1 to 100"),
        (["{photo}", "--weights", "mine.pth"], "mine.pth: neither a weights file nor known"),
        (["{photo}", "--task", "retouching"], "ships no weights for it yet"),
        (["{photo}", "--task", "cooking"], "cooking"),
        (["{photo}", "--strenght", "1"], "--strenght"),
        (["{empty}"], "holds no photos"),
    ],
)
def test_wrong_arguments_get_one_line(
    arguments: list[str],
    message: str,
    make_photo: MakePhoto,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"photo": make_photo(), "empty": tmp_path / "empty"}
    filled = [argument.format(**places) for argument in arguments]
    assert restore(*filled, "-o", tmp_path / "out") in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("mirnet: ")
    assert message in lines[0]


def test_debug_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mirnet.cli.app", "restore", "nowhere.png", "--debug"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ,
    )
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "PhotoError: nowhere.png" in result.stderr
