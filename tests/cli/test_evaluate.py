"""`mirnet evaluate`, as a person types it."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mirnet.checkpoints.store import save_model
from mirnet.cli.app import main
from mirnet.cli.scoring import _submission
from mirnet.environment import file_sha256
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.tasks.evaluation import of_benchmark
from tests.conftest import random_pixels
from tests.data import publishers
from tests.evaluation.conftest import put_pair

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    for number in range(3):
        put_pair(tmp_path / "mine", f"{number}", random_pixels((24, 28, 3), seed=number), 3)
    return tmp_path / "mine"


@pytest.fixture
def for_low_light(tiny_model: MIRNetV2, tmp_path: Path) -> Path:
    path = tmp_path / "dark.safetensors"
    save_model(tiny_model, path, task="low-light")
    return path


def test_folders_are_scored(mine: Path, tiny_weights: Path, capsys: Capture) -> None:
    assert main(["evaluate", str(mine), "--weights", str(tiny_weights)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"-mine  tiny  3 pairs  PSNR \d+\.\d{4}  SSIM \d\.\d{4}  \(protocol ph", out)
    assert main(["evaluate", str(mine), "--weights", str(tiny_weights), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [set(pair["scores"]) for pair in found["scores"]] == [{"psnr", "ssim"}] * 3


@pytest.mark.parametrize(("options", "asked"), [([], "float32"), (["bfloat16"], "bfloat16")])
def test_scores_are_made_in_float32_on_every_device_unless_told(
    mine: Path,
    tiny_weights: Path,
    options: list[str],
    asked: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    def choose(precision: str, device: torch.device, *, for_8_bits: bool = False) -> torch.dtype:
        seen.append(precision)
        return torch.float32

    monkeypatch.setattr("mirnet.inference.restorer.choose_dtype", choose)
    told = [each for option in options for each in ("--precision", option)]
    assert main(["evaluate", str(mine), "--weights", str(tiny_weights), *told]) == 0
    assert set(seen) == {asked}


def test_a_note_on_the_data_stays_when_more_is_scored(mine: Path, tmp_path: Path) -> None:
    command = ["evaluate", str(mine), "-o", str(tmp_path / "out"), "--baseline"]

    def notes() -> dict[str, str | None]:
        found = (tmp_path / "out").glob("*/*/score.json")
        return {path.parent.name: json.loads(path.read_text())["data"]["note"] for path in found}

    assert main([*command, "clahe", "--note", "export A"]) == 0
    assert main([*command, "unsharp-mask"]) == 0
    assert main([*command, "clahe"]) == 0
    assert notes() == {"clahe": "export A", "unsharp-mask": "export A"}
    assert main([*command, "clahe", "--note", ""]) == 0
    assert notes() == {"clahe": "", "unsharp-mask": "export A"}


def test_a_benchmark_needs_its_name_and_place_alone(
    tmp_path: Path, for_low_light: Path, capsys: Capture
) -> None:
    publishers.lol(tmp_path / "LOL")
    command = [
        "evaluate", "--benchmark", "lol", "--data", str(tmp_path / "LOL"),
        "--weights", str(for_low_light), "--baseline", "clahe", "-o", str(tmp_path / "out"),
    ]  # fmt: skip
    assert main(command) == 0
    said = capsys.readouterr()
    assert re.search(
        r"lol  dark  2 pairs \(a part: the whole benchmark has 15 pairs\)  PSNR [\d.]+ "
        r"\(MIRNet-v2 in the paper 24\.74\)  SSIM",
        said.out,
    )
    assert "lol  clahe  2 pairs (a part: " in said.out
    report = tmp_path / "out" / "lol" / "report.html"
    assert f"report: {report}" in said.err
    assert report.stat().st_size > 10_000
    for method in ("dark", "clahe"):
        folder = report.parent / method
        assert {path.name for path in folder.iterdir()} >= {"score.json", "scores.csv", "pictures"}
    first, second = (report.parent / method / "score.json" for method in ("dark", "clahe"))
    assert main(["evaluate", "--compare", str(first), str(second)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("clahe minus dark, 2 pairs\n  psnr ")
    assert "better" in out


def test_parts_of_a_benchmark_stand_beside_the_paper_s(tmp_path: Path, capsys: Capture) -> None:
    publishers.dpdd(tmp_path)
    pictures = tmp_path / "theirs"
    pictures.mkdir()
    for path in (tmp_path / "dd_dp_dataset_canon" / "test_l" / "source").iterdir():
        (pictures / path.name).write_bytes(path.read_bytes())
    assert main(
        ["evaluate", "--benchmark", "dpdd", "--data", str(tmp_path), "--pictures", str(pictures)]
    ) == 0  # fmt: skip
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 3
    for line, part, psnr in zip(
        out, ("indoor", "outdoor", "Combined"), ("28.96", "23.59", "26.2"), strict=True
    ):
        odd = "a part: the whole benchmark has 76 pairs"
        assert line.startswith(f"dpdd  theirs  3 pairs ({odd})  {part}  PSNR ")
        assert f"(MIRNet-v2 in the paper {psnr})" in line
        assert "MAE" in line


def test_dnd_gets_a_submission(tmp_path: Path, tiny_weights: Path, capsys: Capture) -> None:
    publishers.dnd(tmp_path / "dnd")
    command = [
        "evaluate", "--benchmark", "dnd", "--data", str(tmp_path / "dnd"),
        "--weights", str(tiny_weights),
    ]  # fmt: skip
    assert main(command) == 1
    assert "say where the submission is to go, with -o" in capsys.readouterr().err
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out" / "dnd" / "tiny"
    files = folder / "submission"
    part = f"{files}: 4 of 1000 boxes: a part, which the server can't score\n"
    assert capsys.readouterr().out == part
    assert sorted(path.name for path in files.iterdir()) == ["0001.mat", "0002.mat"]


def test_a_pair_that_fails_is_named_and_the_exit_status_tells(
    mine: Path, tiny_weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    (mine / "input" / "1.png").write_bytes(b"no picture")
    command = ["evaluate", str(mine), "--weights", str(tiny_weights), "-o", str(tmp_path / "out")]
    assert main(command) == 1
    said = capsys.readouterr()
    assert "2 pairs" in said.out
    assert re.search(r"mirnet: not scored: 1: .*1\.png", said.err)
    (path,) = (tmp_path / "out").glob("*/tiny/score.json")
    assert [fault["id"] for fault in json.loads(path.read_text())["faults"]] == ["1"]
    assert "Not scored: tiny" in (path.parents[1] / "report.html").read_text("utf-8")


def test_a_picture_without_its_partner_is_named_and_stops_nothing(
    mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(mine, tmp_path / "whole")
    (mine / "target" / "1.png").unlink()
    (mine / "target" / "2.png").unlink()
    command = ["evaluate", str(mine), str(tmp_path / "whole"), "--baseline", "clahe"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "-mine  clahe  1 pair  PSNR" in said.out
    assert "-whole  clahe  3 pairs  PSNR" in said.out
    lines = [line for line in said.err.splitlines() if "not scored" in line]
    assert lines == [
        f"mirnet: not scored: {name}: {mine / 'input' / name}.png: has no partner in "
        f"{mine / 'target'}"
        for name in "12"
    ]
    (report,) = (tmp_path / "out").glob("*-mine/report.html")
    assert "1 pair, protocol" in report.read_text("utf-8")
    assert main(["check-data", "pairs", str(mine)]) == 1


def test_a_method_that_scores_nothing_ends_no_other(
    mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(mine, tmp_path / "whole")
    for path in (mine / "input").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    out = tmp_path / "out"
    command = ["evaluate", str(mine), str(tmp_path / "whole"), "-o", str(out)]
    assert main([*command, "--baseline", "mean-of-views", "--baseline", "clahe"]) == 1
    said = capsys.readouterr()
    told = [line for line in said.err.splitlines() if line.startswith("mirnet: ")]
    assert [line.split(": ")[2] for line in told] == ["mean-of-views", "clahe", "mean-of-views"]
    assert all("no pair could be scored; the first: " in line for line in told)
    assert "damaged" in told[0]
    assert "--allow-damaged" not in said.err
    assert said.out.count("PSNR") == said.out.count("-whole  clahe  3 pairs") == 1
    (folder,) = out.iterdir()
    assert {path.name for path in folder.iterdir()} == {"report.html", "clahe"}


def test_scores_of_other_code_stop_no_other(mine: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(mine, tmp_path / "whole")
    command = ["-o", str(tmp_path / "out"), "--baseline", "clahe"]
    command += ["--baseline", "histogram-equalisation"]
    assert main(["evaluate", str(mine), *command]) == 0
    (place,) = (tmp_path / "out").iterdir()
    for name in ("clahe", "histogram-equalisation"):
        journal = place / name / "journal.jsonl"
        head, _, rest = journal.read_text("utf-8").partition("\n")
        of = {**json.loads(head)["of"], "code_sha256": "0" * 64}
        journal.write_text(json.dumps({"of": of}) + "\n" + rest, "utf-8")
    capsys.readouterr()
    assert main(["evaluate", str(mine), str(tmp_path / "whole"), *command]) == 1
    said = capsys.readouterr()
    told = [line for line in said.err.splitlines() if line.startswith("mirnet: ")]
    assert ["holds scores of another code; name" in line for line in told] == [True, True]
    assert said.out.count("-whole  ") == said.out.count("PSNR") == 2
    assert said.err.count("report: ") == 1


def test_two_methods_of_one_name_are_refused(
    mine: Path, tiny_weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    weights = shutil.copy(tiny_weights, tmp_path / "clahe.safetensors")
    command = ["evaluate", str(mine), "--weights", str(weights), "--baseline", "clahe"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert "two methods are called clahe; rename the weights file" in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name a folder with input/ and target/, or --benchmark NAME --data FOLDER"),
        (
            ("MINE", "--task", "retouching", "--weights", "denoising-small"),
            "is for denoising; leave",
        ),
        (("MINE", "--data", "x"), "--data: says where a benchmark lies"),
        (("--benchmark", "lol"), "--benchmark lol: say where it lies, with --data FOLDER alone"),
        (("MINE", "--benchmark", "lol", "--data", "x"), "say where it lies, with --data FOLDER al"),
        (("--benchmark", "lol", "--data", "MINE"), "eval15: has no folder high/; LoL holds our485"),
        (("--benchmark", "sidd", "--data", "MINE", "--protocol", "lol"), "--protocol: is decided"),
        (("--benchmark", "sidd", "--data", "MINE", "--weights", "denoising-small"), "is missing"),
        (("MINE", "--pictures", "nowhere"), "has no folder nowhere/"),
        (("MINE", "--pictures", "x", "--weights", "y"), "--pictures: are of one folder of pairs"),
        (("MINE", "--workers", "0"), "--workers: must be from 1 to 256, got 0"),
        (
            ("MINE", "--baseline", "clahe", "--lpips", "x.pth"),
            "x.pth: there is no such file; LPIPS",
        ),
        (("nowhere",), "nowhere: there is no such folder"),
        (("--compare", "a.json", "b.json"), "a.json: there is no such file"),
        (("EMPTY",), "has no folder target/"),
        (("MINE", "MINE", "--baseline", "clahe"), "two folders are called"),
        (("MINE", "--baseline", "clahe", "-o", "INPUT"), "input: is among the pictures in MINE"),
    ],
)
def test_wrong_arguments_get_one_line(
    arguments: tuple[str, ...], words: str, mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"MINE": str(mine), "INPUT": str(mine / "input"), "EMPTY": str(tmp_path / "empty")}
    assert main(["evaluate", *(places.get(each, each) for each in arguments)]) == 1
    said = capsys.readouterr()
    assert words.replace("MINE", str(mine)) in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_weights_of_another_task_are_refused(
    tmp_path: Path, for_low_light: Path, capsys: Capture
) -> None:
    publishers.sidd(tmp_path)
    command = ["evaluate", "--benchmark", "sidd", "--data", str(tmp_path)]
    assert main([*command, "--weights", str(for_low_light)]) == 1
    assert "is for low-light; leave --task out, or give weights" in capsys.readouterr().err
    assert main([*command, "--task", "low-light"]) == 1
    assert "--benchmark sidd: is for denoising, not --task low-light" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compare", "a.json", "b.json", "--task", "denoising"], "--compare: takes two"),
        (["--compare", "a.json", "b.json", "-o", "out"], "--compare: takes two"),
        (["pairs", "--compare", "a.json", "b.json"], "--compare: takes two"),
        (["--compare", "a.json", "b.json", "--precision", "float32"], "--compare: takes two"),
        (["--compare", "a.json", "b.json", "--workers", "0"], "--compare: takes two"),
        (["--compare", "a.json", "b.json", "--note", ""], "--compare: takes two"),
        (["MINE", "--pictures", "p", "--task", "denoising"], "--pictures: are there already"),
        (["MINE", "--pictures", "p", "--device", "cpu"], "--pictures: are there already"),
        (["MINE", "--baseline", "clahe", "--device", "cpu"], "--baseline: needs no network"),
        (["MINE", "--baseline", "clahe", "--precision", "float16"], "--baseline: needs no net"),
        (["MINE", "--baseline", "clahe", "--baseline", "clahe"], "--baseline: name each method on"),
    ],
)
def test_options_that_would_count_for_nothing_are_refused(
    arguments: list[str], message: str, mine: Path, capsys: Capture
) -> None:
    named = [str(mine) if each == "MINE" else each for each in arguments]
    assert main(["evaluate", *named]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "option", [["--json"], ["--note", "x"], ["--note", ""], ["--workers", "2"]]
)
def test_a_submission_has_no_scores_to_print(
    option: list[str], tmp_path: Path, capsys: Capture
) -> None:
    publishers.dnd(tmp_path / "DND")
    command = ["evaluate", "--benchmark", "dnd", "--data", str(tmp_path / "DND"), *option]
    assert main([*command, "-o", str(tmp_path / "out")]) == 1
    assert "--benchmark dnd: has no scores here" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_baseline_that_looks_at_targets_gets_no_submission(
    tmp_path: Path, capsys: Capture
) -> None:
    publishers.dnd(tmp_path / "DND")
    command = ["evaluate", "--benchmark", "dnd", "--data", str(tmp_path / "DND")]
    command += ["--baseline", "clahe", "--baseline", "bm3d-best", "-o", str(tmp_path / "out")]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "--baseline bm3d-best: looks at the targets, which dnd's server keeps; leave" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_on_a_terminal_results_go_to_stdout_and_the_bar_to_stderr(
    mine: Path, tiny_weights: Path
) -> None:
    pty = pytest.importorskip("pty")
    master, terminal = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "mirnet",
        "evaluate",
        str(mine),
        "--weights",
        str(tiny_weights),
    ]
    with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        out, _ = process.communicate(timeout=120)
    shown = os.read(master, 100_000)
    os.close(master)
    assert process.returncode == 0
    assert len(json.loads(out)["scores"]) == 3
    assert b"time left" in shown
    assert b"psnr" not in shown


def test_a_whole_submission_is_ready(tmp_path: Path) -> None:
    publishers.dnd(tmp_path / "dnd")
    subject = of_benchmark("dnd", tmp_path / "dnd", None)
    whole = replace(subject, data={**subject.data, "whole": [len(subject.pairs)]})
    assert "ready to be sent" in _submission(tmp_path, whole)


def test_lpips_of_the_luma_is_refused_before_any_weights_are_read(
    tmp_path: Path, capsys: Capture
) -> None:
    publishers.realsr(tmp_path / "data", scale=4)
    command = ["evaluate", "--benchmark", "realsr-x4", "--data", str(tmp_path / "data")]
    assert main([*command, "--baseline", "clahe", "--lpips", "nowhere.pth"]) == 1
    assert "--lpips: looks at RGB, and protocol realsr-x4 at the luma" in capsys.readouterr().err


def test_what_was_not_packed_is_named(mine: Path, tmp_path: Path, capsys: Capture) -> None:
    (mine / "input" / "1.png").write_bytes(b"no picture")
    packed = tmp_path / "packed"
    assert main(["prepare", "pairs", str(mine), "--split", "test", "-o", str(packed)]) == 1
    capsys.readouterr()
    assert main(["evaluate", str(packed), "--baseline", "histogram-equalisation"]) == 1
    said = capsys.readouterr()
    assert "2 pairs" in said.out
    assert re.search(r"mirnet: not scored: 1: .*1\.png", said.err)


def test_a_packed_benchmark_is_scored_as_one(tmp_path: Path, capsys: Capture) -> None:
    publishers.lol(tmp_path / "LOL")
    packed = tmp_path / "packed"
    main(["prepare", "lol", str(tmp_path / "LOL"), "--split", "test", "-o", str(packed)])
    capsys.readouterr()
    assert main(["evaluate", str(packed), "--baseline", "clahe"]) == 1
    told = f"{packed}: was packed from lol; say --benchmark lol --data {packed} instead\n"
    assert capsys.readouterr().err == f"mirnet: {told}"
    assert main(["evaluate", *told.split()[6:10], "--baseline", "clahe"]) == 0


def test_networks_of_two_runs_have_two_names(
    mine: Path, tiny_weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    for run in ("a", "b"):
        (tmp_path / run).mkdir()
        shutil.copy(tiny_weights, tmp_path / run / "best.safetensors")
        command = ["evaluate", str(mine), "--weights", str(tmp_path / run / "best.safetensors")]
        assert main([*command, "-o", str(tmp_path / "out")]) == 0
        assert f"-mine  {run}-best  3 pairs" in capsys.readouterr().out
    names = {path.parent.name for path in (tmp_path / "out").rglob("score.json")}
    assert names == {"a-best", "b-best"}


def test_two_folders_of_one_label_do_not_write_over_each_other(
    mine: Path, tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(mine, tmp_path / "other" / mine.parent.name / mine.name)
    command = ["--baseline", "histogram-equalisation", "-o", str(tmp_path / "out")]
    assert main(["evaluate", str(mine), *command]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(tmp_path / "other" / mine.parent.name / mine.name), *command]) == 1
    error = capsys.readouterr().err
    assert "holds scores of another data folder; name another --output" in error


def test_an_infinite_difference_is_json_too(mine: Path, tmp_path: Path, capsys: Capture) -> None:
    for name in ("target", "input"):
        shutil.copytree(mine / name, tmp_path / f"their-{name}")
        command = ["evaluate", str(mine), "--pictures", str(tmp_path / f"their-{name}")]
        assert main([*command, "-o", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    files = sorted((tmp_path / "out").rglob("score.json"))
    assert main(["evaluate", "--compare", *map(str, files), "--json"]) == 0
    (first, *_) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert "inf" in (first["first"], first["second"])


@pytest.fixture
def trunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AlexNet's shapes with random weights: the real ones are 233 MB."""
    torch.manual_seed(0)
    shapes = {
        0: (64, 3, 11),
        3: (192, 64, 5),
        6: (384, 192, 3),
        8: (256, 384, 3),
        10: (256, 256, 3),
    }
    weights: dict[str, torch.Tensor] = {}
    for number, (out, into, side) in shapes.items():
        layer = torch.nn.Conv2d(into, out, side)
        weights |= {
            f"features.{number}.{name}": value for name, value in layer.state_dict().items()
        }
    path = tmp_path / "alexnet.pth"
    torch.save(weights, path)
    monkeypatch.setattr("mirnet.metrics.lpips.TRUNK_SHA256", file_sha256(path))
    return path


def test_lpips_is_measured_beside_the_protocol_s_metrics(
    trunk: Path, tmp_path: Path, capsys: Capture
) -> None:
    for number in range(2):
        pixels = random_pixels((40, 44, 3), seed=number)
        put_pair(tmp_path / "large", f"{number}", pixels, 30 * number)
    command = ["evaluate", str(tmp_path / "large"), "--baseline", "histogram-equalisation"]
    assert main([*command, "--lpips", str(trunk), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["protocol"]["metrics"] == ["psnr", "ssim", "lpips"]
    same, other = found["scores"]
    assert same["input"]["lpips"] == 0 < other["input"]["lpips"]
    assert same["scores"]["lpips"] > 0
    assert main([*command, "--lpips", str(trunk)]) == 0
    assert re.search(r"SSIM \S+  LPIPS \d\.\d{4}  ", capsys.readouterr().out)


def test_pictures_of_another_depth_than_the_benchmark_s_are_named(
    tmp_path: Path, capsys: Capture
) -> None:
    publishers.dpdd(tmp_path)
    path = min((tmp_path / "dd_dp_dataset_canon" / "test_l" / "source").iterdir())
    publishers.put(path, publishers.picture(0))
    command = ["evaluate", "--benchmark", "dpdd", "--data", str(tmp_path)]
    assert main([*command, "--baseline", "mean-of-views"]) == 1
    said = capsys.readouterr()
    assert "2 pairs (a part: the whole benchmark has 76 pairs)" in said.out
    assert f"{path}: holds uint8 values, and this benchmark is published with 16 bits" in said.err


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_network_computes_in_the_precision_that_is_asked_for(
    precision: str, mine: Path, tiny_weights: Path, capsys: Capture
) -> None:
    command = ["evaluate", str(mine), "--weights", str(tiny_weights), "--device", "cpu", "--json"]
    assert main([*command, "--precision", precision]) == 0
    assert json.loads(capsys.readouterr().out)["method"]["precision"] == precision
