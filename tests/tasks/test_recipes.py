"""The paper's runs, against the table of what the paper says and what was released."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mirnet.choices import DataSetName, RecipeName, TaskName
from mirnet.data.packing import pack
from mirnet.data.sources import DATASETS, find_pairs
from mirnet.errors import RecipeError
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.tasks.recipes import found_in, recipe_for
from mirnet.tasks.registry import TASKS
from mirnet.tasks.start import with_task
from mirnet.training.reading import changed, read_recipe
from mirnet.training.recipe import Recipe
from mirnet.training.schedule import lr_at, stage_at, total_steps
from tests.data import publishers

RECIPES = Path(__file__).parent.parent.parent / "recipes"
TASK_OF: dict[DataSetName, TaskName] = {
    dataset: task.name
    for task in TASKS.values()
    for dataset in task.benchmarks
    if "train" in DATASETS[dataset].counts
}
HALF = ("lol", "realsr-x2", "realsr-x3", "realsr-x4")
PATCHES = {"paper": (128, 144, 192, 224), "released": (128, 160, 192, 256, 320, 384)}
BATCHES = {"paper": (64, 64, 64, 64), "released": (64, 40, 32, 16, 8, 8)}
ENDS = {
    "paper": (115_000, 195_000, 255_000, 300_000),
    "released": (92_000, 156_000, 204_000, 240_000, 276_000, 300_000),
}


def of_file(kind: str, dataset: str) -> Recipe:
    return read_recipe(RECIPES / kind / f"{dataset}.toml")


@pytest.mark.parametrize("kind", ["paper", "released"])
@pytest.mark.parametrize("dataset", TASK_OF)
def test_a_file_is_the_recipe_of_its_task(kind: RecipeName, dataset: DataSetName) -> None:
    made = recipe_for(TASK_OF[dataset], (Path("data") / dataset,), dataset=dataset, kind=kind)
    assert of_file(kind, dataset) == made
    config = with_task(made).model.config()
    assert isinstance(config, MIRNetV2Config)
    assert config == TASKS[made.task].config.with_changes(groups=config.groups)
    assert config.groups == ((2, 2, 2, 2) if kind == "paper" else (1, 2, 4, 4))
    parameters = sum(p.numel() for p in MIRNetV2(config).parameters())
    assert parameters == (5_860_720 if dataset == "dpdd" else 5_858_560)


def test_there_is_a_file_for_every_recipe_and_no_other() -> None:
    for kind in ("paper", "released"):
        assert {path.stem for path in (RECIPES / kind).iterdir()} == set(TASK_OF)


@pytest.mark.parametrize("kind", ["paper", "released"])
@pytest.mark.parametrize("dataset", TASK_OF)
def test_stages_change_where_the_table_says(kind: RecipeName, dataset: DataSetName) -> None:
    schedule = of_file(kind, dataset).schedule
    is_half = kind == "released" and dataset in HALF
    ends = [end // 2 if is_half else end for end in ENDS[kind]]
    assert total_steps(schedule) == ends[-1]
    for start, end, patch, batch in zip(
        [0, *ends], ends, PATCHES[kind], BATCHES[kind], strict=False
    ):
        for step in (start, end - 1):
            stage = stage_at(schedule, step)
            assert (stage.patch_size, stage.batch_size) == (patch, batch)


@pytest.mark.parametrize("dataset", TASK_OF)
def test_the_paper_s_rate_falls_along_one_cosine(dataset: DataSetName) -> None:
    schedule = of_file("paper", dataset).schedule
    assert lr_at(schedule, 0) == 2e-4
    assert lr_at(schedule, 150_000) == pytest.approx((2e-4 + 1e-6) / 2, rel=1e-4)
    assert lr_at(schedule, 299_999) == 1e-6


@pytest.mark.parametrize("dataset", TASK_OF)
def test_the_released_rate_rises_starts_again_and_falls(dataset: DataSetName) -> None:
    schedule = of_file("released", dataset).schedule
    rising, all_steps = (46_000, 150_000) if dataset in HALF else (92_000, 300_000)
    assert lr_at(schedule, 0) == 2e-4
    assert lr_at(schedule, rising // 2) == pytest.approx(2.5e-4, rel=1e-4)
    assert lr_at(schedule, rising - 1) == 3e-4
    assert lr_at(schedule, rising) == 2e-4
    assert lr_at(schedule, all_steps - 1) == 1e-6


def test_what_else_the_table_says() -> None:
    for dataset in TASK_OF:
        paper, released = of_file("paper", dataset), of_file("released", dataset)
        assert (paper.optim.loss, paper.optim.epsilon) == ("charbonnier", 1e-3)
        assert paper.optim.betas == released.optim.betas == (0.9, 0.999)
        assert (paper.optim.clip_norm, released.optim.clip_norm) == (None, 0.01)
        assert released.optim.loss == "l1"
        assert (paper.data.mixup, released.data.mixup) == (None, None if dataset == "dpdd" else 1.2)
        assert paper.data.augmentations == ("horizontal-flip", "vertical-flip")
        assert "transpose" in released.data.augmentations


@pytest.mark.parametrize(
    ("make", "task", "dataset"),
    [
        (publishers.lol, "low-light", "lol"),
        (publishers.sidd, "denoising", "sidd"),
        (publishers.dpdd, "dual-pixel-deblurring", "dpdd"),
        (publishers.realsr, "super-resolution", "realsr-x2"),
        (publishers.fivek, "retouching", "fivek"),
    ],
)
def test_a_data_set_is_known_by_its_layout(
    make: Callable[[Path], Path], task: TaskName, dataset: DataSetName, tmp_path: Path
) -> None:
    folder = make(tmp_path / "published")
    assert found_in(folder, task) == dataset
    recipe = recipe_for(task, (folder,))
    assert recipe.data.sources[0].dataset == dataset
    assert recipe.validation.protocol == dataset
    assert bool(recipe.validation.folders) == (dataset in ("sidd", "dpdd"))
    pairs = find_pairs(folder, dataset, "train")
    pack(pairs, tmp_path / "packed", dataset=dataset, split="train")
    assert found_in(tmp_path / "packed", task) == dataset


def test_folders_of_pairs_are_trained_on_together(tmp_path: Path) -> None:
    recipe = recipe_for("denoising", (tmp_path / "a", tmp_path / "b"))
    assert [source.dataset for source in recipe.data.sources] == ["pairs", "pairs"]
    assert recipe.validation.protocol == "photo"


def test_pairs_of_views_of_one_s_own_are_taken_as_they_lie(
    tmp_path: Path, make_photo: Callable[..., Path]
) -> None:
    for folder in ("whole", "parts/train", "both/train", "both/val"):
        for view in ("inputL", "inputR", "target"):
            make_photo(f"{folder}/{view}/a.png")
    validated = {}
    for name in ("whole", "parts", "both"):
        recipe = recipe_for("dual-pixel-deblurring", (tmp_path / name,))
        source = recipe.data.sources[0]
        assert len(find_pairs(source.path, source.dataset, "train")[0].views) == 2
        validated[name] = recipe.validation.folders
    assert validated == {"whole": (), "parts": (), "both": (tmp_path / "both",)}


@pytest.mark.parametrize(
    "option", ["--schedule.lr", "--schedule.lr-min", "--schedule.warmup-steps"]
)
def test_a_rate_beside_the_released_recipe_s_segments_is_refused(option: str) -> None:
    recipe = recipe_for("denoising", (Path("data"),), dataset="sidd", kind="released")
    with pytest.raises(RecipeError, match=r"counts for nothing beside schedule\.segments"):
        changed(recipe, [option, "0.00001" if "lr" in option else "7"])


def test_a_layout_that_several_data_sets_share_has_to_be_said(tmp_path: Path) -> None:
    for scale in (2, 3):
        publishers.realsr(tmp_path, scale)
    with pytest.raises(RecipeError, match="holds realsr-x2 and realsr-x3; say which"):
        recipe_for("super-resolution", (tmp_path,))
    recipe = recipe_for("super-resolution", (tmp_path,), dataset="realsr-x3")
    assert recipe.data.sources[0].dataset == "realsr-x3"


def test_a_task_without_data_is_told_what_to_give() -> None:
    with pytest.raises(RecipeError, match="say where the pictures are, with --data FOLDER"):
        recipe_for("denoising", ())


def test_the_network_is_that_of_the_weights_to_start_from(
    tiny_weights: Path, tmp_path: Path
) -> None:
    for kind in ("paper", "released"):
        started: Any = recipe_for("denoising", (tmp_path,), kind=kind, start_from=str(tiny_weights))
        assert with_task(started).model.config().to_dict()["width"] == 8
    two = recipe_for("dual-pixel-deblurring", (tmp_path,), start_from=str(tiny_weights))
    config = with_task(two).model.config()
    assert isinstance(config, MIRNetV2Config)
    assert (config.width, config.in_channels, config.residual) == (8, 6, "features")
