import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mirnet.checkpoints.store import read_checkpoint
from mirnet.data.sources import find_pairs
from mirnet.errors import CheckpointError, DataError, NonFiniteError, RecipeError
from mirnet.evaluation.evaluate import evaluate
from mirnet.evaluation.scores import mean
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.restorer import Restorer
from mirnet.metrics.protocol import PROTOCOLS
from mirnet.models.mirnet_v1 import MIRNetV1Config
from mirnet.models.networks import build
from mirnet.tasks.start import with_task
from mirnet.training.batches import training_batches
from mirnet.training.loop import train
from mirnet.training.recipe import (
    DataRecipe,
    ModelChanges,
    ModelRecipe,
    OptimRecipe,
    Recipe,
    ScheduleRecipe,
    SourceRecipe,
    Stage,
    ValidationRecipe,
)
from mirnet.training.state import TrainingState
from mirnet.training.step import MOST_SKIPPED
from tests.conftest import random_pixels
from tests.training.conftest import MakeRecipe

GOLDEN = Path(__file__).parent.parent / "golden" / "loss_curve.json"


def log_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    text = (folder / "log.jsonl").read_text("utf-8")
    return [line for line in map(json.loads, text.splitlines()) if line["kind"] == kind]


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_the_loss_follows_the_golden_curve(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    """The curve is the log of this run. Machines round differently, so not bit by bit."""
    golden = json.loads(GOLDEN.read_text("utf-8"))
    stages = (
        Stage(steps=30, patch_size=16, batch_size=4),
        Stage(steps=10, patch_size=32, batch_size=2),
    )
    recipe = make_recipe(
        schedule=ScheduleRecipe(lr=2e-3, warmup_steps=5, stages=stages),
        optim=OptimRecipe(clip_norm=1.0),
    )
    train(recipe, tmp_path)
    lines = log_of(tmp_path, "train")
    assert [line["loss"] for line in lines] == pytest.approx(golden["loss"], rel=1e-3)
    assert [line["lr"] for line in lines] == pytest.approx(golden["lr"], rel=1e-6)
    assert [line["patch_size"] for line in lines] == [16] * 30 + [32] * 10
    # It learns: what a curve of constants could not show.
    assert sum(golden["loss"][25:30]) < 0.8 * sum(golden["loss"][:5])


def test_a_run_leaves_a_model_that_knows_its_recipe(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path
) -> None:
    recipe = make_recipe(validation=ValidationRecipe(folders=(other_pairs,), every=4))
    path = train(recipe, tmp_path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.config == recipe.model.config()
    assert checkpoint.task == "denoising"
    assert checkpoint.provenance["recipe"] == recipe.to_dict()
    assert checkpoint.provenance["step"] == 10
    assert json.loads((tmp_path / "recipe.json").read_text("utf-8")) == recipe.to_dict()
    rows = log_of(tmp_path, "validation")
    assert [row["step"] for row in rows] == [4, 8, 10]
    restorer = Restorer(checkpoint.build())
    scored = evaluate(restorer, find_pairs(other_pairs, "pairs", "val"), PROTOCOLS["photo"])
    again = mean(pair.scores for pair in scored)
    assert rows[-1]["psnr"] == pytest.approx(again["psnr"], abs=1e-3)
    best = read_checkpoint(tmp_path / "best.safetensors").provenance["step"]
    assert best == max(rows, key=lambda row: row["psnr"])["step"]


def test_parts_of_a_batch_add_up_to_the_batch(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    whole = load_file(train(make_recipe(), tmp_path / "whole"))
    parts = load_file(
        train(make_recipe(optim=OptimRecipe(pixels_at_once=2 * 16**2)), tmp_path / "parts")
    )
    assert log_of(tmp_path / "whole", "train")[0]["loss"] == pytest.approx(
        log_of(tmp_path / "parts", "train")[0]["loss"], rel=1e-5
    )
    for name, value in whole.items():
        assert torch.allclose(value, parts[name], atol=2e-4), name


def test_the_average_is_what_is_saved(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decay = 0.7
    seen: list[dict[str, Tensor]] = []
    update = TrainingState.update_average

    def remember(self: TrainingState, given: float) -> None:
        seen.append({name: value.clone() for name, value in self.model.state_dict().items()})
        update(self, given)

    monkeypatch.setattr(TrainingState, "update_average", remember)
    saved = load_file(train(make_recipe(optim=OptimRecipe(ema=decay)), tmp_path))
    torch.manual_seed(5)
    average = build(make_recipe().model.config()).state_dict()
    passed: list[dict[str, Tensor]] = []
    for weights in seen:
        kept = min(decay, (1 + len(passed)) / (10 + len(passed)))
        average = {n: kept * average[n] + (1 - kept) * weights[n] for n in average}
        passed.append(weights)
    assert len(seen) == 10
    for name, value in saved.items():
        assert torch.allclose(value, average[name], atol=1e-6), name


def test_bfloat16_keeps_the_weights_in_float32(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    full = log_of_run(make_recipe(), tmp_path / "full")
    half = log_of_run(make_recipe(precision="bfloat16"), tmp_path / "half")
    assert half != full
    assert half == pytest.approx(full, rel=0.05)
    saved = load_file(tmp_path / "half" / "model.safetensors")
    assert {value.dtype for value in saved.values()} == {torch.float32}


def log_of_run(recipe: Recipe, folder: Path) -> list[float]:
    train(recipe, folder)
    return [line["loss"] for line in log_of(folder, "train")]


def test_training_starts_from_given_weights(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    first = train(make_recipe(), tmp_path / "first")
    recipe = make_recipe()
    still = ScheduleRecipe(lr=1e-30, lr_min=0.0, stages=recipe.schedule.stages)
    start = replace(recipe.model, start_from=str(first))
    second = train(replace(recipe, model=start, schedule=still), tmp_path / "second")
    assert same(load_file(first), load_file(second))
    other = ModelRecipe(changes={"width": 16, "groups": (1,), "blocks": 1}, start_from=str(first))
    with pytest.raises(
        RecipeError, match=r"model\.start_from: .*: the weights are for width 8, the network has 16"
    ):
        train(replace(recipe, model=other), tmp_path / "third")


@pytest.fixture
def spoilt_batches(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Batches with these numbers hold NaN."""
    spoilt: set[int] = set()

    def batches(*arguments: Any, **share: Any) -> Iterator[tuple[Tensor, Tensor]]:
        for number, (views, target) in enumerate(training_batches(*arguments, **share)):
            yield (views * torch.nan if number in spoilt else views), target

    monkeypatch.setattr("mirnet.training.loop.training_batches", batches)
    return spoilt


def test_a_step_that_is_not_finite_is_skipped_and_kept(
    make_recipe: MakeRecipe, tmp_path: Path, spoilt_batches: set[int]
) -> None:
    spoilt_batches.add(3)
    saved = load_file(train(make_recipe(), tmp_path))
    assert all(bool(torch.isfinite(value).all()) for value in saved.values())
    assert [line["loss"] is None for line in log_of(tmp_path, "train")].index(True) == 3
    assert [line.get("skipped") for line in log_of(tmp_path, "train")].count(1) == 1
    dump = torch.load(tmp_path / "skipped-step-3.pt", weights_only=True)
    assert bool(dump["views"].isnan().all())
    assert dump["target"].shape == (4, 3, 16, 16)


def test_many_such_steps_end_the_run(
    make_recipe: MakeRecipe, tmp_path: Path, spoilt_batches: set[int]
) -> None:
    spoilt_batches.update(range(2, 2 + MOST_SKIPPED))
    with pytest.raises(NonFiniteError, match=r"5 steps in a row .* lower schedule\.lr"):
        train(make_recipe(), tmp_path)


def test_a_run_is_not_gone_on_with_by_another_recipe(
    make_recipe: MakeRecipe, tmp_path: Path
) -> None:
    train(make_recipe(), tmp_path)
    with pytest.raises(RecipeError, match=r"started with another recipe \(seed was 5, is 6\)"):
        train(make_recipe(seed=6), tmp_path)


def test_a_finished_run_is_left_as_it_is(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    path = train(make_recipe(), tmp_path)
    before = path.read_bytes()
    assert train(make_recipe(), tmp_path).read_bytes() == before
    assert len(log_of(tmp_path, "train")) == 10


def test_a_damaged_state_is_named(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    train(make_recipe(), tmp_path)
    state = tmp_path / "state.safetensors"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"state\.safetensors: the state of the run is"):
        train(make_recipe(), tmp_path)


def test_a_folder_that_does_not_do_is_named_before_training(
    make_recipe: MakeRecipe, real_pairs: Path, tmp_path: Path
) -> None:
    missing = DataRecipe(sources=(SourceRecipe(path=tmp_path / "gone"),))
    with pytest.raises(DataError, match="gone: there is no such folder"):
        train(make_recipe(data=missing), tmp_path / "run")
    six = ModelRecipe(
        changes={"in_channels": 6, "residual": "features", "width": 8, "groups": (1,)}
    )
    with pytest.raises(DataError, match=r"has 1 view of 3 channels, and the network takes 6"):
        train(make_recipe(model=six), tmp_path / "run")
    large = ScheduleRecipe(stages=(Stage(steps=1, patch_size=512, batch_size=1),))
    with pytest.raises(DataError, match=r"smaller than the largest patch \(512\)"):
        train(make_recipe(schedule=large), tmp_path / "runs" / "run")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "runs").exists()


def test_the_last_partial_interval_is_logged(make_recipe: MakeRecipe, tmp_path: Path) -> None:
    train(make_recipe(log_every=4), tmp_path)
    lines = log_of(tmp_path, "train")
    assert [line["step"] for line in lines] == [4, 8, 10]
    assert all(line["loss"] > 0 for line in lines)


def test_a_skipped_step_inside_an_interval_leaves_its_loss(
    make_recipe: MakeRecipe, tmp_path: Path, spoilt_batches: set[int]
) -> None:
    spoilt_batches.add(3)
    train(make_recipe(log_every=5), tmp_path)
    first = log_of(tmp_path, "train")[0]
    assert first["loss"] > 0
    assert first["gradient_norm"] > 0
    assert first["skipped"] == 1


def test_parts_of_a_batch_have_its_gradient(
    make_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adam's step hides the scale of the gradient; its norm does not."""
    norms = []
    for parts in (1, 2, 4):
        recipe = make_recipe(
            optim=OptimRecipe(pixels_at_once=4 * 16**2 // parts),
            schedule=ScheduleRecipe(stages=(Stage(steps=1, patch_size=16, batch_size=4),)),
        )
        train(recipe, tmp_path / str(parts))
        norms.append(log_of(tmp_path / str(parts), "train")[0]["gradient_norm"])
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-4)


MANY = """
import resource, sys
from pathlib import Path
from mirnet.cli.app import main
from mirnet.data import packing
packing.PIECE_BYTES = 1  # a piece for each picture
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of open files are Linux's here")
def test_more_pictures_than_files_may_be_open(tmp_path: Path) -> None:
    target = tmp_path / "pairs" / "target"
    target.mkdir(parents=True)
    write_photo(Photo(pixels=random_pixels((16, 16, 3))), target / "000.png")
    for number in range(1, 200):
        shutil.copy(target / "000.png", target / f"{number:03}.png")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f"""
        device = "cpu"
        precision = "float32"
        model = {{ preset = "small", changes = {{ width = 8, groups = [1] }} }}
        data.sources = [{{ path = "{target.parent.as_posix()}", degradation = "gaussian-noise" }}]
        schedule.stages = [{{ steps = 20, patch_size = 16, batch_size = 16 }}]
        """,
        "utf-8",
    )
    command = [sys.executable, "-c", MANY, "train", str(recipe), "-o", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "run" / "packed").glob("*/train/piece-*"))) == 200


def test_mirnet_v1_trains_and_restores_like_the_other(
    make_recipe: MakeRecipe, other_pairs: Path, tmp_path: Path
) -> None:
    changes: ModelChanges = {"width": 8, "recursive_groups": 1, "blocks": 1}
    recipe = make_recipe(
        model=ModelRecipe(preset="mirnet-v1", changes=changes),
        validation=ValidationRecipe(folders=(other_pairs,), every=10),
    )
    path = train(recipe, tmp_path / "run")
    restorer = Restorer.from_pretrained(path)
    assert restorer.model.config == MIRNetV1Config(width=8, recursive_groups=1, blocks=1)
    picture = read_photo(next((other_pairs / "input").iterdir())).pixels
    assert restorer(picture[:37, :51]).shape == (37, 51, 3)
    again = with_task(Recipe(data=recipe.data, model=ModelRecipe(start_from=str(path))))
    assert again.model.config() == restorer.model.config
