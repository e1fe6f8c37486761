"""Every data set, end to end: looked at, packed, trained on in two stages, validated."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mirnet.choices import DataSetName, TaskName
from mirnet.cli.app import main
from tests.data import publishers

OPTIONS = [
    "--device", "cpu", "--precision", "float32", "--log-every", "1", "--validation.every", "2",
    "--model.preset", "small", "--model.changes.width", "8", "--model.changes.blocks", "1",
    "--model.changes.groups", "1", "--schedule.lr", "1e-3",
]  # fmt: skip


@pytest.mark.parametrize(
    ("dataset", "task", "make", "has_validation"),
    [
        ("dpdd", "dual-pixel-deblurring", publishers.dpdd, True),
        ("sidd", "denoising", publishers.sidd, True),
        ("realsr-x2", "super-resolution", publishers.realsr, False),
        ("lol", "low-light", publishers.lol, False),
        ("fivek", "retouching", publishers.fivek, False),
    ],
)
def test_a_data_set_goes_from_its_publisher_to_weights(
    dataset: DataSetName,
    task: TaskName,
    make: Callable[[Path], Path],
    has_validation: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, packed, run = make(tmp_path / "published"), tmp_path / "packed", tmp_path / "run"
    main(["check-data", dataset, str(folder)])
    lines = capsys.readouterr().out.splitlines()
    assert all("is published with" in line for line in lines if line.startswith("wrong"))
    assert main(["prepare", dataset, str(folder), "-o", str(packed)]) == 0
    recipe = tmp_path / "recipe.toml"
    held_out = "" if has_validation else "hold_out = 1"
    validation = f'folders = ["{packed}"]\ndataset = "{dataset}"' if has_validation else ""
    recipe.write_text(
        f"""
        task = "{task}"
        [[data.sources]]
        path = "{packed}"
        dataset = "{dataset}"
        {held_out}
        [schedule]
        stages = [
            {{ steps = 2, patch_size = 16, batch_size = 4 }},
            {{ steps = 2, patch_size = 24, batch_size = 2 }},
        ]
        [validation]
        protocol = "{dataset}"
        {validation}
        """,
        "utf-8",
    )
    assert main(["train", str(recipe), "-o", str(run), *OPTIONS]) == 0, capsys.readouterr().err
    assert not (run / "packed").exists()
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["patch_size"] for line in log if line["kind"] == "train"] == [16, 16, 24, 24]
    scored = [line for line in log if line["kind"] == "validation"]
    assert [line["step"] for line in scored] == [2, 4]
    assert all(line["psnr"] > 5 and line["input_psnr"] > 5 for line in scored)
    assert (run / "best.safetensors").exists()


def test_dnd_can_be_packed_and_teaches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, packed = publishers.dnd(tmp_path / "published"), tmp_path / "packed"
    assert main(["check-data", "dnd", str(folder)]) == 1
    assert "test has 4 pairs, DND is published with 1000" in capsys.readouterr().out
    assert main(["prepare", "dnd", str(folder), "-o", str(packed)]) == 0
    assert main(["train", "--task", "denoising", "--data", str(packed), "--dataset", "dnd"]) == 1
    assert "DND has no split train; it has test, without targets" in capsys.readouterr().err


def test_the_paper_s_run_needs_no_recipe_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = publishers.lol(tmp_path / "LOL"), tmp_path / "run"
    command = ["train", "--task", "low-light", "--data", str(folder), "-o", str(run), *OPTIONS]
    stages = ["--schedule.stages", '{"steps": 2, "patch_size": 16, "batch_size": 2}']
    assert main([*command, *stages]) == 0, capsys.readouterr().err
    recipe = json.loads((run / "recipe.json").read_text())
    assert recipe["data"]["sources"][0]["dataset"] == "lol"
    assert recipe["optim"]["loss"] == "charbonnier"
    assert [stage["steps"] for stage in recipe["schedule"]["stages"]] == [2]


def test_two_folders_fine_tune_given_weights_by_one_command(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        for part in ("input", "target"):
            for seed in range(2):
                picture = publishers.picture(seed + 10 * (name == "b"))
                publishers.put(tmp_path / name / part / f"{seed}.png", picture)
    command = [
        "train", "--task", "denoising",
        "--data", str(tmp_path / "a"), "--data", str(tmp_path / "b"),
        "--start-from", str(tiny_weights), "-o", str(tmp_path / "run"), "--device", "cpu",
        "--schedule.stages", '{"steps": 2, "patch_size": 16, "batch_size": 2}',
    ]  # fmt: skip
    assert main(command) == 0, capsys.readouterr().err
    recipe = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert [Path(source["path"]).name for source in recipe["data"]["sources"]] == ["a", "b"]
    assert recipe["model"]["changes"]["width"] == 8


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a recipe file, or a --task and its --data"),
        (["--optim.loss", "l1"], "name a recipe file, or a --task and its --data"),
        (["a.toml", "--data", "x"], "--recipe and --start-from go with --task"),
        (["a.toml", "--recipe", "released"], "--recipe and --start-from go with --task"),
        (["a.toml", "--task", "denoising"], "a.toml: give a recipe file or --task, not both"),
        (["a.toml", "--memory", "3"], "there is no such recipe file"),
        (["--task", "denoising"], "say where the pictures are, with --data FOLDER"),
    ],
)
def test_what_can_t_be_trained_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_plan_is_printed_and_nothing_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = publishers.lol(tmp_path / "LOL")
    command = ["train", "--task", "low-light", "--data", str(folder), "--plan"]
    assert main([*command, "--memory", "80", "--devices", "8"]) == 0
    large = capsys.readouterr().out
    assert main([*command, "--memory", "8"]) == 0
    small = capsys.readouterr().out
    for out in (large, small):
        assert "19,200,000 samples" in out
        assert "train with --optim.pixels-at-once " in out
    assert main([*command, *OPTIONS, "--schedule.stages", '{"steps": 7200, "patch_size": 16}']) == 0
    assert " hours\n" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


CLEAN_RUNS = [
    ("denoising", "camera-noise", "{ jpeg = [0.5], quality = [60, 90] }"),
    ("denoising", "gaussian-noise", "{ sigma = [0.01, 0.05] }"),
    ("super-resolution", "downscale", "{ factor = [2] }"),
    ("low-light", "low-light", "{ light = [0.05, 0.2] }"),
    ("dual-pixel-deblurring", "dual-pixel-defocus", "{ radius = [1, 4], layers = [3] }"),
]


@pytest.mark.parametrize(("task", "degradation", "options"), CLEAN_RUNS)
def test_clean_pictures_teach_every_task(
    task: str, degradation: str, options: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        publishers.put(tmp_path / "clean" / f"{seed}.png", publishers.picture(seed))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f"""
        task = "{task}"
        [[data.sources]]
        path = "{tmp_path / "clean"}"
        degradation = "{degradation}"
        options = {options}
        [[schedule.stages]]
        steps = 2
        patch_size = 32
        batch_size = 2
        """,
        "utf-8",
    )
    assert main(["train", str(recipe), "-o", str(tmp_path / "run"), *OPTIONS]) == 0, (
        capsys.readouterr().err
    )


def test_a_degradation_of_other_views_than_the_task_s_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publishers.put(tmp_path / "clean" / "0.png", publishers.picture(0))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f"""
        task = "denoising"
        data.sources = [{{ path = "{tmp_path / "clean"}", degradation = "dual-pixel-defocus" }}]
        schedule.stages = [{{ steps = 2, patch_size = 32, batch_size = 2 }}]
        """,
        "utf-8",
    )
    assert main(["train", str(recipe), "-o", str(tmp_path / "run"), *OPTIONS]) == 1
    error = capsys.readouterr().err
    assert "degradation: dual-pixel-defocus gives 2 views of 3 channels, and the network" in error
