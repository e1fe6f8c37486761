import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mirnet.checkpoints.store import save_model
from mirnet.cli.app import main
from mirnet.imaging.exif import main_directory
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference import fit
from mirnet.inference.ledger import NAME
from mirnet.inference.restorer import Restorer
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import TINY, random_pixels
from tests.imaging.containers.dngs import dng
from tests.imaging.containers.heics import heic

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
    """All files below a folder, also hidden ones, but for the note of what was made from what."""
    found = [each for each in folder.rglob("*") if each.is_file() and each.name != NAME]
    return sorted(str(each.relative_to(folder)) for each in found)


def test_a_batch_restores_what_it_can_and_names_what_it_can_t(
    shots: Path, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    assert restore(shots, "-o", output, "--weights", tiny_weights) == 1
    lines = capsys.readouterr().err.splitlines()
    summary = lines.index("17 restored, 3 failed:")
    failed = lines[summary + 1 : summary + 4]
    reasons = {line.strip().partition(": ")[0]: line for line in failed}
    assert list(reasons) == [
        str(shots / name) for name in ("text.png", "truncated.png", "unreadable.png")
    ]
    assert "is no PNG" in reasons[str(shots / "text.png")]
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


def test_other_weights_or_options_are_not_done_by_what_is_there(
    make_photo: MakePhoto,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, output = make_photo(), tmp_path / "out"
    assert restore(source, "-o", output, "--weights", tiny_weights) == 0
    half = ("--weights", tiny_weights, "--strength", "0.5")
    for changed in (half, ()):
        assert restore(source, "-o", output, *changed) == 1
        assert "was made with other weights or options" in capsys.readouterr().err
    assert restore(source, "-o", output, *half, "--overwrite") == 0
    assert restore(source, "-o", output, *half) == 0


def test_nothing_is_loaded_when_all_is_done(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_photo()
    assert restore(source, "-o", tmp_path / "out", "--weights", tiny_weights) == 0
    monkeypatch.setattr(Restorer, "__init__", lambda *_, **__: pytest.fail("was loaded"))
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


def test_of_two_photos_for_one_result_the_second_is_named(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make_photo("one/a.png"), make_photo("two/a.png")
    assert restore(first, second, "-o", tmp_path / "out", "--weights", tiny_weights) == 1
    assert f"{second}: would become" in capsys.readouterr().err
    assert files(tmp_path / "out") == ["a.png"]


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
        (["{photo}", "--strength", "2"], "--strength: must be from 0 to 1"),
        (["{photo}", "--quality", "0"], "--quality: must be from 1 to 100"),
        (["{photo}", "--weights", "mine.pth"], "mine.pth: neither a weights file nor known"),
        (["{photo}", "--detail", "2"], "--detail: must be from 0 to 1, got 2"),
        (["{photo}", "--detail", "1", "--chroma-only"], "--chroma-only keeps anyway"),
        (["{photo}", "--enlarge", "5"], "--enlarge: must be 2, 3 or 4, got 5"),
        (["{photo}", "--enlarge", "2"], "is for denoising; give --task super-resolution"),
        (["{photo}", "--task", "cooking"], "cooking"),
        (["{photo}", "--strenght", "1"], "--strenght"),
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


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.png", "there is no such photo or folder"),
        ("{empty}", "holds no photos"),
        ("{empty}/*.png", "matches no photos"),
        ("{empty}/" + "x" * 300 + ".png", "File name too long"),
        ("{loop}", "Too many levels of symbolic links"),
    ],
)
def test_what_can_t_be_found_does_not_stop_the_rest(
    path: str,
    message: str,
    make_photo: MakePhoto,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    named = path.format(empty=tmp_path / "empty", loop=tmp_path / "loop.png")
    output = tmp_path / "out"
    assert restore(named, make_photo(), "-o", output, "--weights", tiny_weights) == 1
    error = capsys.readouterr().err
    assert "1 restored, 1 failed:" in error
    assert message in error
    assert "Traceback" not in error
    assert files(output) == ["photo.png"]


def test_debug_shows_where_an_error_comes_from(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("no photo")
    run = [sys.executable, "-m", "mirnet.cli.app", "--debug", "restore", str(tmp_path / "text.png")]
    options = ["-o", str(tmp_path / "out"), "--weights", str(tiny_weights)]
    result = subprocess.run([*run, *options], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "PhotoError" in result.stderr
    unknown = subprocess.run(
        [*run, *options[:2], "--weights", "x.pth"], capture_output=True, text=True, check=False
    )
    assert unknown.returncode == 1
    assert "UnknownWeightsError: x.pth" in unknown.stderr


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"),
     (signal.SIGHUP, 129, "terminated")],
)  # fmt: skip
def test_a_signal_ends_a_batch_with_a_line_and_no_temporary_file(
    tiny_weights: Path, tmp_path: Path, number: int, status: int, word: str
) -> None:
    shots, output = tmp_path / "shots", tmp_path / "out"
    shots.mkdir()
    write_photo(Photo(pixels=random_pixels((300, 400, 3))), shots / "00.png")
    for i in range(1, 300):  # so many that a busy machine sends the signal before the end
        (shots / f"{i:02}.png").write_bytes((shots / "00.png").read_bytes())
    command = [sys.executable, "-m", "mirnet.cli.app", "restore", str(shots), "-o", str(output)]
    process = subprocess.Popen(
        [*command, "--weights", str(tiny_weights)], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (output / "01.png").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert f"mirnet: {word}; run the same command again to go on" in error
    assert "Traceback" not in error
    assert [path for path in files(output) if path.startswith(".")] == []


def test_weights_of_another_task_are_refused(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [make_photo(), "-o", tmp_path / "out", "--weights", tiny_weights]
    assert restore(*options, "--task", "retouching") == 1
    assert "is for denoising; leave --task out" in capsys.readouterr().err
    assert files(tmp_path / "out") == []
    assert restore(*options, "--task", "denoising") == 0
    assert f"weights: {tiny_weights} (denoising)" in capsys.readouterr().err


@pytest.fixture
def two_view_weights(tmp_path: Path) -> Path:
    config = MIRNetV2Config(in_channels=6, residual="features", width=8, groups=(1,), blocks=1)
    weights = tmp_path / "two.safetensors"
    save_model(MIRNetV2(config), weights, task="dual-pixel-deblurring")
    return weights


@pytest.mark.parametrize("task", [[], ["--task", "dual-pixel-deblurring"]])
def test_dual_pixel_photos_are_restored_from_their_two_views(
    two_view_weights: Path,
    tmp_path: Path,
    task: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    shots, output = tmp_path / "shots", tmp_path / "out"
    shots.mkdir()
    for seed, name in enumerate(("a_L.png", "a_R.png", "b_L.png", "b_R.png", "c.png", "d_R.png")):
        write_photo(Photo(pixels=random_pixels((12, 16, 3), seed=seed)), shots / name)
    options = ["-o", output, "--weights", two_view_weights, *task]
    assert restore(shots, *options) == 1
    told = capsys.readouterr().err
    assert "2 restored, 2 failed" in told
    for name in ("c.png", "d_R.png"):
        assert f"{shots / name}: is one picture, and not the two views of a dual-pixel" in told
    assert files(output) == ["a.png", "b.png"]
    assert restore(shots / "a_R.png", *options) == 1
    assert f"is a right view; name the left one too, {shots / 'a_L.png'}" in capsys.readouterr().err
    assert restore(shots / "a_L.png", shots / "b_L.png", *options) == 0
    assert "0 restored, 2 already done" in capsys.readouterr().err


def test_weights_for_other_channels_than_photos_have_are_refused(
    make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = MIRNetV2Config(in_channels=9, residual="features", width=8, groups=(1,), blocks=1)
    weights = tmp_path / "three.safetensors"
    save_model(MIRNetV2(config), weights)
    assert restore(make_photo(), "-o", tmp_path / "out", "--weights", weights) == 1
    assert "takes 9 channels, and photos have 3, or 6 in two views" in capsys.readouterr().err


def test_notes_and_passed_by_files_are_named(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    whole = make_photo("in/a.jpg", (64, 64, 3)).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    for name in ("b.bmp", "c.PSD", "notes.txt"):
        (folder / name).write_text("x")
    options = [folder, "-o", tmp_path / "out", "--weights", tiny_weights]
    assert restore(*options) == 1
    error = capsys.readouterr().err
    assert re.search(r"cut\.jpg: truncated or damaged .* with --allow-damaged\n", error)
    assert "left alone: 2 files of other kinds (.bmp, .psd)" in error
    assert restore(*options, "--allow-damaged") == 0
    assert "cut.jpg: damaged (" in capsys.readouterr().err
    assert files(tmp_path / "out") == ["a.jpg", "cut.jpg"]


def test_photos_of_phones_are_written_as_what_can_hold_them(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    pixels = random_pixels((24, 32, 3))
    (folder / "a.HEIC").write_bytes(heic(pixels))
    (folder / "b.heic").write_bytes(heic(pixels.astype(np.uint16) * 257, bits=10))
    options = [folder, "-o", out, "--weights", tiny_weights, "--strength", "0"]
    assert restore(*options) == 0
    assert files(out) == ["a.jpg", "b.tif"]
    assert np.array_equal(read_photo(out / "b.tif").pixels, read_photo(folder / "b.heic").pixels)
    assert restore(*options, "--format", "png") == 0
    assert np.array_equal(read_photo(out / "a.png").pixels, read_photo(folder / "a.HEIC").pixels)
    assert restore(*options) == 0
    assert "2 already done" in capsys.readouterr().err


def test_raw_is_developed_and_written_as_tiff(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    (folder / "a.DNG").write_bytes(dng(random_pixels((24, 32, 3)) / 255))
    write_photo(Photo(pixels=random_pixels((24, 32, 3))), folder / "a.JPG")
    (folder / "b.raf").write_bytes(b"FUJIFILMCCD-RAW " + bytes(99))
    options = [folder, "-o", out, "--weights", tiny_weights, "--strength", "0"]
    assert restore(*options) == 1
    assert "b.raf: can't be decoded (" in capsys.readouterr().err
    assert files(out) == ["a.DNG.tif", "a.JPG"]
    restored, developed = read_photo(out / "a.DNG.tif"), read_photo(folder / "a.DNG")
    assert np.array_equal(restored.pixels, developed.pixels)
    fields = [main_directory(photo.metadata.exif).fields for photo in (restored, developed)]
    assert fields[0][271] == fields[1][271]


def test_an_output_that_can_t_be_written_is_named_before_any_work(
    make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        weights = ["--task", "denoising", "--weights", "not looked at"]
        assert restore(make_photo(), "-o", output, *weights) == 1
        error = capsys.readouterr().err
        assert f"mirnet: {output}: can't be written" in error
        assert len(error.splitlines()) == 1


@pytest.mark.parametrize("folder", ["gone", "file"])
def test_convert_names_what_can_t_be_written(
    folder: str, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["convert", str(tiny_weights), str(tmp_path / folder / "x.safetensors")]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert error.startswith("mirnet: ")


def test_a_photo_that_will_not_fit_in_one_piece_goes_in_tiles_and_says_so(
    make_photo: MakePhoto,
    tiny_weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photo = make_photo(shape=(370, 390, 3))
    assert restore(photo, "-o", tmp_path / "whole", "--weights", tiny_weights) == 0
    assert "goes" not in capsys.readouterr().err
    monkeypatch.setattr(fit, "resident_memory", lambda device: 0)
    least = min(way.memory for way in fit.fits(TINY, 370, 390, device=torch.device("cpu")))
    arguments = (photo, "--weights", tiny_weights, "-o", tmp_path / "tiles", "--memory")
    assert restore(*arguments, least) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert f"{photo}: 390×370 goes in tiles of 64×32 with the same result" in told
    whole, tiles = (read_photo(tmp_path / each / photo.name).pixels for each in ("whole", "tiles"))
    assert np.abs(whole.astype(int) - tiles).max() <= 1
    assert restore(*arguments, least - 1, "--overwrite") == 1
    assert "needs at least" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["0", "much", "-1GiB"])
def test_a_memory_that_is_no_size_is_refused(
    size: str, make_photo: MakePhoto, capsys: pytest.CaptureFixture[str]
) -> None:
    assert restore(make_photo(), f"--memory={size}") == 1
    assert "--memory: must be a size such as 2GiB" in capsys.readouterr().err


def test_grain_stays_where_colour_alone_is_restored(
    make_photo: MakePhoto, tiny_weights: Path, tmp_path: Path
) -> None:
    source = make_photo()
    options = [source, "-o", tmp_path / "out", "--weights", tiny_weights, "--format", "tif"]
    assert restore(*options, "--depth", 16, "--chroma-only") == 0
    before = read_photo(source).pixels / 255
    after = read_photo(tmp_path / "out" / "photo.tif").pixels / 65535
    weights = np.array([0.299, 0.587, 0.114])
    inside = ((after > 0) & (after < 1)).all(2)
    assert np.abs((after - before) @ weights)[inside].max() <= 2e-5
    assert np.abs(after - before).max() > 1e-3


def test_an_unusual_photo_is_restored_with_a_word(
    make_photo: MakePhoto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "blank.png"
    write_photo(Photo(pixels=np.full((16, 16, 3), 90, np.uint8)), source)
    assert restore(source, "-o", tmp_path / "out") == 0
    assert f"{source}: is blank: there is nothing to restore" in capsys.readouterr().err
    assert (tmp_path / "out" / "blank.png").exists()


def test_an_address_needs_ray_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("s3://bucket/a.png\n")
    for arguments in (["s3://bucket/in"], ["--from-file", listing], ["x.png", "-o", "s3://b/out"]):
        assert restore(*arguments) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "lies in a store" in line
        assert "--engine ray" in line
    assert main(["watch", "s3://bucket/in", str(tmp_path)]) == 1
    assert "folders of this machine are watched" in capsys.readouterr().err
