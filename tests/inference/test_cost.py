"""What a restoration takes: measured for each network as if it were alone."""

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from mirnet.errors import ConfigError, InsufficientMemoryError
from mirnet.inference import cost, fit
from mirnet.inference.cost import measure_apart, measure_cost
from mirnet.models.config import MIRNetV2Config

TINY = MIRNetV2Config(width=8, blocks=1, groups=(1,))
KIND: dict[str, Any] = {"device": "cpu", "precision": "float32", "runs": 1}


@pytest.mark.skipif(not cost.RESET.exists(), reason="this system does not tell the peak")
def test_memory_does_not_depend_on_what_was_measured_before() -> None:
    measure_cost(MIRNetV2Config.small(), 256, 256, **KIND)  # its memory stays with the allocator
    first, second = (measure_apart(TINY, 256, 256, **KIND).memory for _ in range(2))
    assert first is not None
    assert second is not None
    assert first > 2**20
    assert first == pytest.approx(second, rel=0.3)


def test_a_process_that_is_ended_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(ProcessPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:  # a local function can't be sent
            return super().submit(os._exit, 9)

    monkeypatch.setattr(cost, "ProcessPoolExecutor", Ended)
    with pytest.raises(InsufficientMemoryError, match="measured 8×8 pixels was ended"):
        measure_apart(TINY, 8, 8, **KIND)


def test_a_system_that_does_not_tell_the_peak_gives_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cost, "RESET", tmp_path / "no" / "clear_refs")
    assert measure_cost(TINY, 8, 8, **KIND).memory is None
    monkeypatch.setattr(cost, "RESET", tmp_path / "clear_refs")
    monkeypatch.setattr(cost, "STATUS", tmp_path / "status")
    cost.STATUS.write_text("Name:\tpython\nVmRSS:\t  100 kB\n")
    assert measure_cost(TINY, 8, 8, **KIND).memory is None


def test_what_will_not_fit_is_told_before_anything_is_taken() -> None:
    with pytest.raises(
        InsufficientMemoryError,
        match=r"^measurement: 1048576×1048576 needs at least .* are free.*; give it more, or take",
    ):
        measure_apart(TINY, 1 << 20, 1 << 20, **KIND)


def test_what_went_in_tiles_is_held_against_the_estimate_of_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tiles = [way for way in fit.fits(TINY, 40, 40, device=torch.device("cpu")) if way.tile]
    monkeypatch.setattr("mirnet.inference.running.choose_fit", lambda *_, **__: tiles)
    assert measure_cost(TINY, 40, 40, **KIND).estimate == tiles[0].memory


@pytest.mark.skipif(not cost.RESET.exists(), reason="this system does not tell the peak")
def test_the_peak_is_counted_from_what_lay_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([5 << 20, 12 << 20])
    monkeypatch.setattr(cost, "memory", lambda *_, **__: next(told))
    assert measure_cost(TINY, 8, 8, **KIND).memory == 7 << 20


def test_the_estimate_is_of_the_arithmetic_that_is_measured() -> None:
    low, high = (
        measure_cost(TINY, 256, 256, **KIND | {"precision": precision}).estimate
        for precision in ("bfloat16", "float32")
    )
    assert low < high - (5 << 20)


def test_no_runs_are_refused() -> None:
    with pytest.raises(ConfigError, match="runs: must be a whole number from 1"):
        measure_cost(TINY, 8, 8, runs=0)
