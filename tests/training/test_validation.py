from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from mirnet.checkpoints.store import read_checkpoint, write_checkpoint
from mirnet.errors import CheckpointError, DataError, PhotoError, RecipeError
from mirnet.evaluation.evaluate import evaluate
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.restorer import Restorer
from mirnet.training.batches import open_data
from mirnet.training.loop import train
from mirnet.training.recipe import DataRecipe, SourceRecipe, ValidationRecipe
from mirnet.training.step import take_step
from tests.conftest import random_pixels
from tests.data import publishers
from tests.data.publishers import picture, put
from tests.training.conftest import MakeRecipe
from tests.training.test_loop import log_of


def judged(folder: Path) -> ValidationRecipe:
    return ValidationRecipe(folders=(folder,), every=4)


def test_pictures_that_are_trained_on_are_refused_by_content(
    make_recipe: MakeRecipe, real_pairs: Path, tmp_path: Path
) -> None:
    shutil.copytree(real_pairs, tmp_path / "copy")
    for part in ("input", "target"):
        (tmp_path / "copy" / part / "0.png").rename(tmp_path / "copy" / part / "other.png")
    for folder in (real_pairs, tmp_path / "copy"):
        with pytest.raises(DataError, match="is trained on too"):
            train(make_recipe(validation=judged(folder)), tmp_path / "run")
    assert not (tmp_path / "run" / "state.safetensors").exists()


def test_folders_are_checked_before_the_first_step(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mirnet.training.run.take_step", lambda *_: pytest.fail("a step was done"))
    with pytest.raises(DataError, match="gone: there is no such folder"):
        train(make_recipe(validation=judged(tmp_path / "gone")), tmp_path / "run")
    shutil.copytree(other_pairs, tmp_path / "uneven")
    small = Photo(pixels=random_pixels((8, 8, 3)))
    write_photo(small, tmp_path / "uneven" / "input" / "2.png")
    with pytest.raises(DataError, match="must have the same size"):
        train(make_recipe(validation=judged(tmp_path / "uneven")), tmp_path / "run")
    two = tmp_path / "two"
    shutil.copytree(other_pairs / "input", two / "inputL")
    shutil.copytree(other_pairs / "input", two / "inputR")
    shutil.copytree(other_pairs / "target", two / "target")
    with pytest.raises(DataError, match="2 has 2 views of 3 channels"):
        train(make_recipe(validation=judged(two)), tmp_path / "run")


def test_the_state_is_saved_first_and_a_fault_does_not_end_the_run(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        assert (tmp_path / "state.safetensors").exists()
        raise PhotoError("x.png: is gone\nnow")

    monkeypatch.setattr("mirnet.training.validation.evaluate", fail)
    path = train(make_recipe(validation=judged(other_pairs)), tmp_path)
    assert read_checkpoint(path).provenance["step"] == 10
    rows = log_of(tmp_path, "validation")
    assert [row["failed"] for row in rows] == ["x.png: is gone now"] * 3


def test_the_log_has_the_input_beside_the_output(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path
) -> None:
    train(make_recipe(validation=judged(other_pairs)), tmp_path)
    for row in log_of(tmp_path, "validation"):
        assert row["input_psnr"] == pytest.approx(log_of(tmp_path, "validation")[0]["input_psnr"])
        assert {"psnr", "ssim", "input_ssim"} <= row.keys()
    events = next((tmp_path / "tensorboard").glob("events*")).read_bytes()
    assert f"{other_pairs}/2".encode() in events


def test_pairs_are_scored_once_a_validation(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return evaluate(*arguments)

    monkeypatch.setattr("mirnet.training.validation.evaluate", counted)
    train(make_recipe(validation=judged(other_pairs)), tmp_path)
    assert len(calls) == len(log_of(tmp_path, "validation")) == 3


def test_the_best_belongs_to_what_it_was_measured_on(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path
) -> None:
    first = make_recipe(validation=judged(other_pairs))
    train(first, tmp_path)
    best = read_checkpoint(tmp_path / "best.safetensors")
    best.provenance["validation"] = {"impossible": {"psnr": 99.0}}
    write_checkpoint(best, tmp_path / "best.safetensors")
    stages = (*first.schedule.stages, replace(first.schedule.stages[1], steps=2))
    longer = replace(first, schedule=replace(first.schedule, stages=stages))
    train(longer, tmp_path)
    assert read_checkpoint(tmp_path / "best.safetensors").provenance["step"] != 12
    stages = (*stages, replace(first.schedule.stages[1], steps=2))
    other = replace(longer, schedule=replace(first.schedule, stages=stages))
    other = replace(other, validation=replace(other.validation, protocol="lol"))
    train(other, tmp_path)
    assert read_checkpoint(tmp_path / "best.safetensors").provenance["step"] >= 12


def test_a_float32_run_is_validated_in_float32(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    made = Restorer.__init__

    def init(self: Restorer, *arguments: object, **options: object) -> None:
        asked.append(options["precision"])
        made(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Restorer, "__init__", init)
    train(make_recipe(validation=judged(other_pairs)), tmp_path)
    assert set(asked) == {"float32"}


def test_what_is_held_out_is_validated_and_not_trained_on(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs"
    for number in range(6):
        scene = 0 if number in (0, 5) else number  # the last shows what the first does
        for part in ("input", "target"):
            put(pairs / part / f"{number}.png", picture(scene))
    source = SourceRecipe(path=pairs, hold_out=2)
    recipe = make_recipe(data=DataRecipe(sources=(source,)))
    data = open_data(recipe, tmp_path / "run")
    (held,) = data.held_out.values()
    assert [pair.id for pair in held] == ["0", "3"]
    assert [pair.id for pair in data.pairs()] == ["1", "2", "4"]
    train(recipe, tmp_path / "run")
    (row,) = log_of(tmp_path / "run", "validation")
    assert row["folder"] == f"{pairs}, held out"
    assert row["psnr"] > 5


@pytest.mark.parametrize("number", [6, 7])
def test_something_has_to_be_left_to_train_on(
    number: int, make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    for scene in range(6):
        for part in ("input", "target"):
            put(tmp_path / "pairs" / part / f"{scene}.png", picture(scene))
    source = SourceRecipe(path=tmp_path / "pairs", hold_out=number)
    with pytest.raises(RecipeError, match="hold_out: must be below the 6 pairs"):
        open_data(make_recipe(data=DataRecipe(sources=(source,))), tmp_path / "run")


def test_clean_pictures_are_not_held_out() -> None:
    with pytest.raises(RecipeError, match="hold_out: is for pairs"):
        SourceRecipe(path=Path("x"), hold_out=1, degradation="camera-noise")


def test_a_picture_that_vanishes_while_training_changes_nothing(
    make_recipe: MakeRecipe, real_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = shutil.copytree(real_pairs, tmp_path / "pairs")
    sources = (SourceRecipe(path=pairs),)
    whole = train(make_recipe(data=DataRecipe(sources=sources)), tmp_path / "whole").read_bytes()

    def vanishing(*arguments: Any) -> tuple[float, float | None]:
        if arguments[-1] == 3:
            shutil.rmtree(pairs)
        return take_step(*arguments)

    monkeypatch.setattr("mirnet.training.run.take_step", vanishing)
    recipe = make_recipe(data=DataRecipe(sources=sources))
    assert train(recipe, tmp_path / "run").read_bytes() == whole
    with pytest.raises(DataError, match="pairs: there is no such folder"):
        train(recipe, tmp_path / "run")


def test_a_sample_or_weights_that_can_t_be_written_end_no_run(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def no_room(weights: object, path: Path, *_: object) -> None:
        raise SafetensorError("No space left on device")

    recipe = make_recipe(validation=ValidationRecipe(folders=(other_pairs,), every=5))
    with monkeypatch.context() as patch:
        patch.setattr("mirnet.training.log.RunLog.show", full)
        path = train(recipe, tmp_path / "samples")
    assert read_checkpoint(path).provenance["step"] == 10
    monkeypatch.setattr("mirnet.checkpoints.store.save_file", no_room)
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: can.t be written .*; make room"
    ):
        train(recipe, tmp_path / "weights")
    monkeypatch.undo()
    assert (tmp_path / "weights" / "state.safetensors").exists()
    assert read_checkpoint(train(recipe, tmp_path / "weights")).provenance["step"] == 10


def test_two_parts_of_one_folder_hold_out_pairs_each(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    for scale in (2, 3):
        publishers.realsr(tmp_path / "data", scale=scale)
    sources = (
        SourceRecipe(path=tmp_path / "data", dataset="realsr-x2", hold_out=1),
        SourceRecipe(path=tmp_path / "data", dataset="realsr-x3", hold_out=1),
    )
    data = open_data(make_recipe(data=DataRecipe(sources=sources)), tmp_path / "run")
    assert [len(pairs) for pairs in data.held_out.values()] == [1, 1]
    assert any("(realsr-x3 train), held out" in name for name in data.held_out)


def test_clean_pictures_without_a_degradation_are_refused(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path
) -> None:
    source = SourceRecipe(path=other_pairs, dataset="clean")
    with pytest.raises(DataError, match="has no input; give a degradation that makes one"):
        open_data(make_recipe(data=DataRecipe(sources=(source,))), tmp_path / "run")
