import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirnet.errors import RecipeError
from mirnet.models.config import MIRNetV2Config
from mirnet.models.networks import CONFIGS
from mirnet.training.reading import read_recipe
from mirnet.training.recipe import ModelChanges, Recipe, Stage

SHIPPED = sorted((Path(__file__).parent.parent.parent / "recipes").rglob("*.toml"))

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
weight = 1

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
    every = {field.name for config in CONFIGS.values() for field in fields(config)}
    assert set(get_type_hints(ModelChanges)) == {"network", *every}


def test_the_command_line_overrides_the_file(example: Path) -> None:
    given = "--optim.ema 0.99 --seed 3 --model.changes.groups 1 --model.changes.groups 2"
    recipe = read_recipe(example, given.split())
    assert (recipe.optim.ema, recipe.seed, recipe.optim.loss) == (0.99, 3, "l1")
    config = recipe.model.config()
    assert isinstance(config, MIRNetV2Config)
    assert (config.groups, config.width) == ((1, 2), 16)


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
    "no steps": ("steps = 10", "steps = 0", "schedule.stages.steps: must be at least 1, got 0"),
    "a negative seed": ("seed = 7", "seed = -1", "seed: must be from 0 to"),
    "a fraction": ("seed = 7", "seed = 1.5", '"1.5" is not a whole number'),
    "a fraction of steps": ("steps = 10", "steps = 10.5", '"10.5" is not a whole number'),
    "a task that is none": ('"denoising"', '"denoisng"', "task"),
    "some weights": ("weight = 2.0", "", "data.sources.weight: is given for some sources"),
    "exposure of pairs": ("weight = 2.0", "weight = 2\nexposure = true", "exposure: is for clean"),
    "a rate of nought": ("lr = 3e-4", "lr = 0", "schedule.lr: must be above 0, got 0"),
    "a negative rate": ("lr = 3e-4", "lr = -1", "schedule.lr: must be above 0, got -1"),
    "a rate that is no number": ("lr = 3e-4", "lr = nan", "schedule.lr: must be above 0, got nan"),
    "a rate that rises": ("lr = 3e-4", "lr = 1e-7", "schedule.lr_min: must be at most lr, 1e-07"),
    "a warm-up without end": (
        "lr = 3e-4",
        "warmup_steps = 10",
        "schedule.warmup_steps: must be fewer than the 10 steps",
    ),
    "a rate beside segments": (
        "[validation]",
        "[[schedule.segments]]\nsteps = 10\n[validation]",
        "schedule.lr: counts for nothing beside schedule.segments",
    ),
    "no pixels": (
        "[optim]",
        "[optim]\npixels_at_once = 0",
        "optim.pixels_at_once: must be at least 1",
    ),
    "an average of nothing": (
        "[optim]",
        "[optim]\nema = 1",
        "optim.ema: must be above 0 and",
    ),
    "a norm that turns": ("[optim]", "[optim]\nclip_norm = -1", "optim.clip_norm: must be above 0"),
    "a beta of one": ("[optim]", "[optim]\nbetas = [0.9, 1.0]", "optim.betas: must be from 0 to"),
    "no epsilon": ("[optim]", "[optim]\nepsilon = 0", "optim.epsilon: must be above 0"),
    "negative workers": (
        "[model]",
        "[data]\nworkers = -1\n[model]",
        "data.workers: must be from",
    ),
    "never validated": ("[validation]", "[validation]\nevery = 0", "validation.every: must be at"),
    "an unknown protocol": ("[validation]", '[validation]\nprotocol = "x"', "protocol"),
    "a device that is none": ("seed = 7", 'seed = 7\ndevice = "tpu"', "device"),
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


@pytest.mark.parametrize("name", ["recipe.json", "recipe.yaml", "recipe"])
def test_other_files_are_refused_for_what_they_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(RecipeError, match="a recipe is a TOML file"):
        read_recipe(tmp_path / name)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\0", b"[[[", b"seed = 1\nseed = 2", b"seed = 10" + b"0" * 5000]
)
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "recipe.toml").write_bytes(content)
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "recipe.toml")
    assert "\n" not in str(caught.value)


SOURCE = "data.sources."
PLACES = ["", "model.", "model.changes.", "data.", SOURCE, "optim.", "schedule.", "validation."]
KEYS = [
    "seed", "task", "precision", "device", "checkpoint_every", "preset", "width", "groups",
    "workers", "cache", "lr", "lr_min", "warmup_steps", "ema", "betas", "clip_norm",
    "pixels_at_once", "hold_out", "mixup", "options", "degradation", "dataset", "split", "devices",
    "nodes", "compile", "recompute", "keep_every", "shrink", "segments", "start_from", "loss",
    "every", "folders", "protocol", "stages", "sources", "augmentations",
]  # fmt: skip
VALUES = st.one_of(
    st.integers(-5, 5), st.floats(), st.booleans(), st.text("ab.'[]{}=-\n", max_size=6),
    st.lists(st.one_of(st.integers(), st.floats(-2, 2), st.text("ab", max_size=2)), max_size=3),
    st.dictionaries(st.sampled_from(["steps", "path", "x"]), st.integers(-2, 9), max_size=2),
    st.integers(-(10**30), 10**30),
)  # fmt: skip


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    return json.dumps(value)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.dictionaries(st.tuples(st.sampled_from(PLACES), st.sampled_from(KEYS)), VALUES, max_size=3)
)
def test_recipes_drawn_at_random_are_read_or_refused_in_one_line(
    tmp_path: Path, drawn: dict[tuple[str, str], Any]
) -> None:
    given = [(f"{place}{key}", toml(value)) for (place, key), value in drawn.items()]
    lines = [f"{key} = {value}" for key, value in given if not key.startswith(SOURCE)]
    of_source = [
        f"{key.removeprefix(SOURCE)} = {value}" for key, value in given if key.startswith(SOURCE)
    ]
    path = tmp_path / "drawn.toml"
    if ("data.", "sources") not in drawn:
        lines += ["[[data.sources]]", 'path = "x"', *of_source]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    try:
        read_recipe(path)
    except RecipeError as error:
        assert str(error).isprintable()
        assert str(error).startswith(f"{path}: ")


def test_a_recipe_without_data_is_refused(example: Path) -> None:
    example.write_text(EXAMPLE.split("[[data.sources]]", maxsplit=1)[0], "utf-8")
    with pytest.raises(RecipeError, match="data"):
        read_recipe(example)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone\.toml: there is no such recipe file"):
        read_recipe(tmp_path / "gone.toml")
