import json
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from mirnet.errors import RecipeError
from mirnet.models.config import MIRNetV2Config
from mirnet.training.recipe import ModelChanges, Recipe, Stage, read_recipe

SHIPPED = sorted((Path(__file__).parent.parent.parent / "recipes").glob("*.toml"))

EXAMPLE = """
task = "denoising"
seed = 7

[model]
preset = "small"
changes = { width = 16 }

[[data.sources]]
path = "pairs"
weight = 2.0

[[data.sources]]
path = "clean"
degradation = "camera-noise"

[optim]
loss = "l1"

[schedule]
lr = 3e-4

[[schedule.stages]]
steps = 10
patch_size = 32
batch_size = 4

[validation]
folders = ["pairs"]
"""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / "example.toml"
    path.write_text(EXAMPLE, "utf-8")
    return path


def test_a_file_is_read(example: Path) -> None:
    recipe = read_recipe(example)
    assert recipe.seed == 7
    assert recipe.model.config() == MIRNetV2Config.small().with_changes(width=16)
    assert [source.path for source in recipe.data.sources] == [Path("pairs"), Path("clean")]
    assert [source.degradation for source in recipe.data.sources] == [None, "camera-noise"]
    assert recipe.optim.loss == "l1"
    assert recipe.optim.ema is None
    assert recipe.schedule.stages == (Stage(steps=10, patch_size=32, batch_size=4),)
    assert recipe.validation.folders == (Path("pairs"),)


def test_every_field_of_the_network_can_be_changed() -> None:
    assert list(get_type_hints(ModelChanges)) == [field.name for field in fields(MIRNetV2Config)]


def test_the_command_line_overrides_the_file(example: Path) -> None:
    given = "--optim.ema 0.99 --seed 3 --model.changes.groups 1 --model.changes.groups 2"
    recipe = read_recipe(example, given.split())
    assert (recipe.optim.ema, recipe.seed, recipe.optim.loss) == (0.99, 3, "l1")
    assert recipe.model.config().groups == (1, 2)
    assert recipe.model.config().width == 16


def test_the_resolved_recipe_is_plain_json(example: Path) -> None:
    plain = read_recipe(example).to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["data"]["sources"][0]["path"] == "pairs"
    assert plain["optim"]["betas"] == [0.9, 0.999]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    assert isinstance(read_recipe(path), Recipe)


FAULTS = {
    "an unknown key": ("seed = 7", "sede = 7", "sede"),
    "an unknown part": ("[optim]", "[optimizer]", "optimizer"),
    "a wrong type": ("seed = 7", 'seed = "x"', "seed"),
    "an unknown loss": ('"l1"', '"l2"', "loss"),
    "an unknown degradation": ('"camera-noise"', '"rain"', "degradation: must be one of"),
    "a weight of nought": ("weight = 2.0", "weight = 0.0", "weight: must be above 0"),
    "an unknown model field": ("width = 16", "wdith = 16", "wdith"),
    "a model field of a wrong type": ("width = 16", "width = [16]", "width"),
    "a broken model rule": ("width = 16", "streams = 5", "model.streams: must be a whole number"),
    "an odd patch": ("patch_size = 32", "patch_size = 30", "30 must be a multiple of 4"),
    "no steps": ("steps = 10", "steps = 0", "steps: must be ≥ 1"),
    "not TOML": ("[optim]", "[optim", ""),
}


@pytest.mark.parametrize(("old", "new", "fault"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_named_with_its_file_and_key(
    example: Path, old: str, new: str, fault: str
) -> None:
    assert old in EXAMPLE
    example.write_text(EXAMPLE.replace(old, new), "utf-8")
    with pytest.raises(RecipeError) as caught:
        read_recipe(example)
    message = str(caught.value)
    assert message.startswith(f"{example}: ")
    assert fault in message
    assert "\n" not in message


def test_a_recipe_without_data_is_refused(example: Path) -> None:
    example.write_text(EXAMPLE.split("[[data.sources]]", maxsplit=1)[0], "utf-8")
    with pytest.raises(RecipeError, match="data"):
        read_recipe(example)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone\.toml: there is no such recipe file"):
        read_recipe(tmp_path / "gone.toml")


def test_a_batch_must_divide_into_its_parts(example: Path) -> None:
    with pytest.raises(RecipeError, match="3 does not divide the batch size 4"):
        read_recipe(example, ["--optim.accumulate", "3"])
