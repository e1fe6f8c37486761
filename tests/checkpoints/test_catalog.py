from pathlib import Path

import pytest

from mirnet.checkpoints import catalog
from mirnet.checkpoints.catalog import CATALOG, DEFAULTS, resolve
from mirnet.checkpoints.store import read_checkpoint
from mirnet.errors import CheckpointError, UnknownWeightsError
from mirnet.tasks.registry import TASKS

MEGABYTES = 2**20


@pytest.mark.parametrize("weights", CATALOG.values(), ids=CATALOG.keys())
def test_shipped_weights_are_whole_and_documented(weights: catalog.Weights) -> None:
    checkpoint = read_checkpoint(resolve(weights.name))
    assert checkpoint.task == weights.task
    assert weights.task in TASKS
    assert checkpoint.provenance["recipe"]["seed"] is not None
    assert all(value.element_size() == 2 for value in checkpoint.weights.values())
    card = weights.card.read_text("utf-8")
    for heading in ("## Data and its terms", "## Recipe", "## Scores", "## Limits"):
        assert heading in card
    assert weights.sha256 in card


def test_what_ships_stays_small() -> None:
    files = [path for path in catalog.PACKAGED.iterdir() if path.suffix == ".safetensors"]
    assert {path.stem for path in files} == set(CATALOG)
    assert sum(path.stat().st_size for path in files) < 20 * MEGABYTES


def test_a_task_stands_for_its_default_weights() -> None:
    for task, name in DEFAULTS.items():
        assert resolve(task) == resolve(name) == CATALOG[name].path


def test_a_path_stands_for_itself(tiny_weights: Path) -> None:
    assert resolve(tiny_weights) == tiny_weights
    assert resolve(str(tiny_weights)) == tiny_weights


def test_an_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(
        UnknownWeightsError,
        match=r"denosing: neither .* known weights \(.*denoising, denoising-small",
    ):
        resolve("denosing")


def test_changed_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for weights in CATALOG.values():
        content = bytearray(weights.path.read_bytes())
        content[-1] ^= 1
        (tmp_path / weights.path.name).write_bytes(content)
    monkeypatch.setattr(catalog, "PACKAGED", tmp_path)
    with pytest.raises(CheckpointError, match="was changed since its release; reinstall mirnet"):
        resolve("denoising")
    for path in tmp_path.iterdir():
        path.unlink()
    with pytest.raises(CheckpointError, match="is missing; reinstall mirnet"):
        resolve("denoising")
