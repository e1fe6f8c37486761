import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mirnet.inference.backends import trial
from mirnet.inference.backends.backend import Candidate, is_there
from mirnet.inference.backends.choosing import CANDIDATES
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.trial import Trial, trial_of
from mirnet.models.mirnet_v2 import MIRNetV2

pytest.importorskip("openvino")
candidate: type[Candidate] = OpenVINO


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(trial, "SIZE", (16, 32))
    return tmp_path / "cache" / "trials"


def kept(cache: Path) -> Path:
    """The one trial that was kept."""
    (place,) = cache.iterdir()
    return place


def test_a_trial_measures_and_is_kept(
    tiny_model: MIRNetV2, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trial_of(candidate, tiny_model)
    assert first.speed > 0
    assert first.error <= trial.PARITY
    assert json.loads(kept(cache).read_text("utf-8")) == dataclasses.asdict(first)
    monkeypatch.setattr(trial, "_try", lambda *_: pytest.fail("was tried again"))
    assert trial_of(candidate, tiny_model) == first
    monkeypatch.setattr(trial, "_try", lambda *_: Trial(9.0, 0.0))
    assert (
        trial_of(candidate, tiny_model, anew=True)
        == Trial(9.0, 0.0)
        == trial_of(candidate, tiny_model)
    )


def test_each_runtime_is_tried_for_itself(tiny_model: MIRNetV2, cache: Path) -> None:
    installed = [each for each in CANDIDATES.values() if all(map(is_there, each.PACKAGES))]
    for each in installed:
        assert trial_of(each, tiny_model).error <= trial.PARITY
    assert len(list(cache.iterdir())) == len(installed)


def test_other_weights_are_tried_for_themselves(tiny_model: MIRNetV2, cache: Path) -> None:
    trial_of(candidate, tiny_model)
    trial_of(candidate, MIRNetV2(tiny_model.config))
    assert len(list(cache.iterdir())) == 2


SOUND = {"speed": 2.0, "error": 0.0, "low_speed": 0.0, "low_psnr": 0.0}
WRONG = ("2", True, 0, -1.0, float("nan"), 10**400)
"""What no speed is."""


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[" * 100_000,
        *map(json.dumps, [[1], None, "x", {}, {"speed": 2.0}, SOUND | {"sped": 1}]),
        *(json.dumps(SOUND | {"speed": speed}) for speed in WRONG),
    ],
)
def test_what_is_no_trial_is_made_anew(tiny_model: MIRNetV2, cache: Path, content: str) -> None:
    trial_of(candidate, tiny_model)
    kept(cache).write_text(content)
    again = trial_of(candidate, tiny_model)
    assert 0 < again.speed != 2
    assert json.loads(kept(cache).read_text("utf-8")) == dataclasses.asdict(again)


@pytest.mark.parametrize(
    ("place", "other"),
    [
        ("mirnet.inference.backends.trial.code_sha256", lambda: "another"),
        ("torch.__version__", "9.9.9"),
        ("openvino.__version__", "9.9.9-1"),
        ("torch.get_num_threads", lambda: 77),
        ("mirnet.inference.backends.openvino.OpenVINO.setting", lambda: "another"),
    ],
)
def test_a_trial_holds_for_what_it_was_made_with(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, place: str, other: Any
) -> None:
    key = trial._key(candidate, tiny_model)
    monkeypatch.setattr(place, other)
    assert trial._key(candidate, tiny_model) != key


def test_a_pipe_in_its_place_is_not_waited_for(tiny_model: MIRNetV2, cache: Path) -> None:
    trial_of(candidate, tiny_model)
    kept(cache).unlink()
    os.mkfifo(cache / f"{trial._key(candidate, tiny_model)}.json")
    assert trial_of(candidate, tiny_model).speed > 0


def test_two_at_once_lose_nothing(
    tiny_model: MIRNetV2, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process keeps its trial while this one is under way."""

    def meanwhile(*_: Any) -> Trial:
        monkeypatch.setattr(trial, "_try", lambda *_: Trial(3.0, 0.0))
        trial_of(candidate, MIRNetV2(tiny_model.config))
        return Trial(2.0, 0.0)

    monkeypatch.setattr(trial, "_try", meanwhile)
    trial_of(candidate, tiny_model)
    assert len(list(cache.iterdir())) == 2


def test_a_cache_that_cannot_be_written_stops_nothing(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path / "file" / "below"))
    assert trial_of(candidate, tiny_model).speed > 0


def test_a_cache_that_cannot_be_read_stops_nothing(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "is_file", denied)
    assert trial_of(candidate, tiny_model).speed > 0


class Fails(OpenVINO):
    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        raise RuntimeError("Exception from src/inference/src/cpp/core.cpp:109")


class Differs(OpenVINO):
    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        return super().__call__(images, torch.float32) + (1e-4 if dtype == torch.float32 else 0)


def test_a_runtime_that_fails_is_not_taken(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = trial_of(Fails, tiny_model)
    assert not found.is_good
    assert not found.is_good_for_8_bits
    assert str(found) == "can't run this network"
    monkeypatch.setattr(Fails, "__call__", OpenVINO.__call__)
    assert trial_of(Fails, tiny_model).speed > 0  # it may have been for want of memory


def test_a_runtime_that_gives_something_else_is_not_taken(tiny_model: MIRNetV2) -> None:
    found = dataclasses.replace(trial_of(Differs, tiny_model), speed=9.0)
    assert found.error == pytest.approx(1e-4, rel=0.05)
    assert not found.is_good
    assert str(found).endswith("differs by 1e-04, which is too much")


class Coarse(OpenVINO):
    """Has bfloat16, which costs a little."""

    @staticmethod
    def arithmetics() -> tuple[torch.dtype, ...]:
        return torch.float32, torch.bfloat16

    def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        outputs = super().__call__(images, torch.float32)
        return outputs + (1e-2 if dtype == torch.bfloat16 else 0)


def test_bfloat16_is_tried_where_it_is_there(tiny_model: MIRNetV2) -> None:
    found = trial_of(Coarse, tiny_model)
    assert found.low_speed > 0
    assert found.low_psnr == pytest.approx(40, abs=0.5)
    assert "in bfloat16" in str(found)


@pytest.mark.parametrize(
    ("found", "is_good", "is_good_for_8_bits"),
    [
        (Trial(1.5, 1e-6), True, False),
        (Trial(0.9, 1e-6), True, False),
        (Trial(0.7, 1e-6), False, False),
        (Trial(1.5, 1e-4), False, False),
        (Trial(1.5, 1e-6, 5.0, 61.0), True, True),
        (Trial(1.5, 1e-6, 5.0, 59.0), True, False),
        (Trial(1.5, 1e-6, 1.4, 61.0), True, False),
        (Trial(0.7, 1e-6, 5.0, 61.0), False, True),
        (Trial(0.3, 1e-6, 0.7, 61.0), False, False),
        (Trial(1.5, 1e-4, 5.0, 61.0), False, False),
    ],
)
def test_what_is_taken(found: Trial, is_good: bool, is_good_for_8_bits: bool) -> None:
    assert (found.is_good, found.is_good_for_8_bits) == (is_good, is_good_for_8_bits)


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MIRNET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert trial.cache_folder() == tmp_path / "mirnet"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert trial.cache_folder() == tmp_path / ".cache" / "mirnet"


def test_a_user_without_a_home_has_no_cache(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("MIRNET_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert trial_of(candidate, tiny_model).speed > 0
