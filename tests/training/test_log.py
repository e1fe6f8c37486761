import json
import math
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mirnet.training.log import Clock, Interval, RunLog


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def test_numbers_go_to_both_logs(tmp_path: Path) -> None:
    with RunLog(tmp_path, first_step=0, total_steps=2) as log:
        log.write("train", 1, {"loss": 0.25})
        log.write("validation", 2, {"folder": "pairs/val", "psnr": 31.5})
    assert lines(tmp_path) == [
        {"kind": "train", "step": 1, "loss": 0.25},
        {"kind": "validation", "step": 2, "folder": "pairs/val", "psnr": 31.5},
    ]
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [(point.step, point.value) for point in board.Scalars("train/loss")] == [(1, 0.25)]
    assert [point.value for point in board.Scalars("validation pairs/val/psnr")] == [31.5]


def test_a_resumed_run_forgets_what_its_state_has_not_done(tmp_path: Path) -> None:
    with RunLog(tmp_path, first_step=0, total_steps=9) as log:
        for step in (1, 2, 3):
            log.write("train", step, {"loss": float(step)})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    with RunLog(tmp_path, first_step=2, total_steps=9) as log:
        log.write("train", 3, {"loss": 30.0})
    assert [line["loss"] for line in lines(tmp_path)] == [1, 2, 30]


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    with RunLog(tmp_path, first_step=0, total_steps=1) as log:
        log.write("train", 1, {"loss": math.nan, "gradient_norm": math.inf})
    assert lines(tmp_path) == [{"kind": "train", "step": 1, "loss": None, "gradient_norm": None}]


def test_the_clock_tells_waiting_from_working() -> None:
    def slow() -> object:
        for _ in range(3):
            time.sleep(0.03)
            yield ()

    clock = Clock()
    for _ in clock.waiting(slow()):  # type: ignore[arg-type]
        time.sleep(0.001)
    rates = clock.rates(3, batch_size=4)
    assert rates["step_s"] >= 0.03
    assert math.isclose(rates["images_per_s"] * rates["step_s"], 4)
    assert 0.5 < rates["data_wait_share"] <= 1
    assert clock.rates(1, batch_size=4)["data_wait_share"] == 0


def test_a_skipped_step_is_counted_and_spoils_no_mean() -> None:
    interval = Interval()
    interval.add(0.5, 2.0)
    interval.add(math.nan, None)
    interval.add(0.25, 4.0)
    assert interval.numbers() == {"loss": 0.375, "gradient_norm": 3.0, "skipped": 1}
    empty = Interval()
    empty.add(math.nan, None)
    assert math.isnan(empty.numbers()["loss"])


def test_what_is_done_between_steps_is_no_part_of_them() -> None:
    clock = Clock()
    with clock.stopped():
        time.sleep(0.2)
    assert clock.rates(1, 1)["step_s"] < 0.1


def test_waiting_for_data_is_said_once_and_not_of_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with RunLog(tmp_path, first_step=0, total_steps=9) as log:
        for share in (0.9, 0.2, 0.21, 0.9):
            log.say_if_waiting(share)
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("of the time is spent waiting for data") == 1
    assert "21% of the time" in said
