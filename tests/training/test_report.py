"""A run as a page that a person reads."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from skimage.io import imread

from mirnet.checkpoints.load import load_model
from mirnet.errors import RecipeError
from mirnet.training.loop import train
from mirnet.training.recipe import ValidationRecipe
from mirnet.training.report import write_report
from tests.training.conftest import MakeRecipe


@pytest.fixture
def finished(make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path) -> Path:
    validation = ValidationRecipe(folders=(other_pairs,), every=2)
    train(make_recipe(validation=validation, keep_every=4), tmp_path / "run")
    return tmp_path / "run"


def test_a_finished_run_is_told_in_full(finished: Path, other_pairs: Path) -> None:
    text = (finished / "report.md").read_text("utf-8")
    assert "Finished: 10 of 10 steps, 32 samples seen in 0:00:" in text
    log = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    last = [line for line in log if line["kind"] == "validation"][-1]
    assert f"| {last['psnr']:.2f} | {last['ssim']:.4f} |" in text
    assert f"| {last['input_psnr']:.2f} |" in text
    assert "| 6 | 16 | 4 | 1 |" in text
    assert re.search(r"\| 0 \| 1 \| cpu \| float32 \| mirnet \d", text)
    shown = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert [name for name in shown if name.startswith("curves/")] == [
        f"curves/{name}.png" for name in ("loss", "lr", "gradient_norm", "psnr")
    ]
    assert sum(name.startswith("samples/") for name in shown) == 2
    for name in shown:
        picture = imread(finished / name)
        assert picture.std() > 1  # something is drawn


def test_weights_are_kept_for_good_where_asked(finished: Path) -> None:
    kept = sorted(path.name for path in (finished / "kept").iterdir())
    assert kept == ["step-0000004.safetensors", "step-0000008.safetensors"]
    load_model(finished / "kept" / kept[0])


def test_what_is_kept_has_to_be_validated(make_recipe: MakeRecipe) -> None:
    with pytest.raises(RecipeError, match=r"keep_every: 3 must be a multiple of validation\.every"):
        make_recipe(keep_every=3)


def test_going_on_is_told_where_it_began(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = make_recipe()
    first = replace(recipe, schedule=replace(recipe.schedule, stages=recipe.schedule.stages[:1]))
    train(first, tmp_path)
    train(recipe, tmp_path)
    text = (tmp_path / "report.md").read_text("utf-8")
    assert re.search(r"\| 0 \| 1 \| cpu .*\n\| 6 \| 1 \| cpu ", text)
    assert "Nothing was validated." in text


def test_gaps_and_faults_don_t_stop_a_report(finished: Path) -> None:
    log = finished / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    lines[3] |= {"loss": None, "skipped": 1, "data_wait_share": 0.9}
    lines = [line | {"data_wait_share": 0.5} if line["kind"] == "train" else line for line in lines]
    lines.append({"kind": "validation", "step": 10, "failed": "a picture is gone"})
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "tra')
    text = write_report(finished).read_text("utf-8")
    assert ", 1 steps skipped" in text
    assert "Validation failed at step 10: a picture is gone." in text
    assert "Data is the bottleneck" in text
    log.write_text("")
    assert "No step of 10 is logged yet." in write_report(finished).read_text("utf-8")


def test_a_report_that_can_t_be_written_ends_no_run(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mirnet.training.run.write_report", full)
    train(make_recipe(), tmp_path)
    said = " ".join(capsys.readouterr().err.split())
    assert "can't be written (No space left on device)" in said
    assert (tmp_path / "model.safetensors").exists()
