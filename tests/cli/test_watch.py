import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mirnet.cli.app import main
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.ledger import NAME
from tests.conftest import random_pixels

MakePhoto = Callable[..., Path]
PATIENCE_S = 120.0


def watch(*arguments: object) -> int:
    return main(["watch", *map(str, arguments), "--settle", "0.1", "--once"])


def files(folder: Path) -> list[str]:
    """All files below a folder, also hidden ones, but for the note of what was made from what."""
    found = [each for each in folder.rglob("*") if each.is_file() and each.name != NAME]
    return sorted(str(each.relative_to(folder)) for each in found)


def started(folder: Path, output: Path, weights: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mirnet", "watch", str(folder), str(output)]
    options = ["--weights", str(weights), "--settle", "0.1"]
    return subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.01)


def test_options_of_restore_reach_the_results(
    make_photo: MakePhoto,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, output = make_photo("in/a.png"), tmp_path / "out"
    options = ("--weights", tiny_weights, "--strength", 0, "--depth", 16, "--format", "tif")
    assert watch(tmp_path / "in", output, *options) == 0
    restored = read_photo(output / "a.tif").pixels
    assert (restored == read_photo(source).pixels.astype("uint16") * 257).all()
    told = capsys.readouterr().err
    assert f"watching {tmp_path / 'in'}; results go to {output}" in told
    assert f"weights: {tiny_weights} (denoising)" in told
    assert told.splitlines()[-1] == "in all 1 restored, 0 failed"
    assert watch(tmp_path / "in", output, *options) == 0
    assert "0 restored, 1 already done" in capsys.readouterr().err


def test_a_cut_photo_makes_the_exit_status_1(
    make_photo: MakePhoto,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = make_photo("in/a.jpg", (64, 64, 3)).read_bytes()
    (tmp_path / "in" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert watch(tmp_path / "in", tmp_path / "out", "--weights", tiny_weights) == 1
    told = capsys.readouterr().err
    assert re.search(r"^1 restored, 1 failed:\n  .*cut\.jpg: truncated or damaged", told, re.M)
    assert told.splitlines()[-1] == "in all 1 restored, 1 failed"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{in}", "{in}"], "is the folder that is watched; name another"),
        (["{gone}", "{out}"], "there is no such folder"),
        (["{in}", "{out}", "--strength", "2"], "--strength: must be from 0 to 1, got 2"),
        (["{in}", "{out}", "--weights", "no.pth"], "no.pth: neither a weights file nor known"),
    ],
)
def test_wrong_arguments_get_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    places = {name: tmp_path / name for name in ("in", "out", "gone")}
    assert watch(*(argument.format(**places) for argument in arguments)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mirnet: ")
    assert words in line


@pytest.mark.parametrize("settle", ["0", "3601", "-1", "nan"])
def test_a_time_that_is_no_pause_is_refused(
    settle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", str(tmp_path), str(tmp_path / "out"), f"--settle={settle}"]) == 1
    assert "--settle: must be from 0.1 to 3600 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_it_with_what_was_done_and_leaves_nothing(
    make_photo: MakePhoto,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    number: int,
    status: int,
    word: str,
) -> None:
    make_photo("in/a.png")
    output = tmp_path / "out"
    process = started(tmp_path / "in", output, tiny_weights)
    wait_for((output / "a.png").exists)
    assert watch(tmp_path / "in", output) == 1
    told = capsys.readouterr().err
    assert "another `mirnet watch` restores into it" in told
    assert len(told.splitlines()) == 1
    process.send_signal(number)
    error = process.communicate(timeout=PATIENCE_S)[1]
    assert process.returncode == status
    assert error.splitlines()[-2:] == [
        "in all 1 restored, 0 failed",
        f"mirnet: {word}; run the same command again to go on",
    ]
    assert files(output) == ["a.png"]


def test_after_a_kill_the_next_start_goes_on(tiny_weights: Path, tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for i in range(12):
        write_photo(Photo(pixels=random_pixels((200, 300, 3), seed=i)), folder / f"{i:02}.png")
    process = started(folder, output, tiny_weights)
    wait_for((output / "02.png").exists)
    process.kill()
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in output.glob("[!.]*")}
    assert 3 <= len(before) < 12
    assert watch(folder, output, "--weights", tiny_weights) == 0
    assert files(output) == [f"{i:02}.png" for i in range(12)]
    assert {path: path.stat().st_mtime_ns for path in before} == before
