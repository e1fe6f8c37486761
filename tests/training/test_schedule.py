import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnet.training.recipe import ScheduleRecipe, Stage
from mirnet.training.schedule import (
    batches_from,
    lr_at,
    parts_of,
    samples_before,
    stage_at,
    total_steps,
)

STAGES = st.lists(
    st.builds(Stage, steps=st.integers(1, 9), patch_size=st.just(8), batch_size=st.integers(1, 5)),
    min_size=1,
    max_size=4,
).map(tuple)


def test_the_paper_s_schedule_is_the_default() -> None:
    schedule = ScheduleRecipe()
    assert total_steps(schedule) == 300_000
    assert [stage.patch_size for stage in schedule.stages] == [128, 144, 192, 224]
    assert lr_at(schedule, 0) == 2e-4
    assert lr_at(schedule, 299_999) == 1e-6


def test_the_cosine_is_half_way_in_the_middle() -> None:
    schedule = ScheduleRecipe(lr=1.0, lr_min=0.0, stages=(Stage(steps=101),))
    assert math.isclose(lr_at(schedule, 50), 0.5)
    assert math.isclose(lr_at(schedule, 25), (1 + math.sqrt(0.5)) / 2)


def test_warm_up_rises_to_the_full_rate() -> None:
    schedule = ScheduleRecipe(lr=1.0, lr_min=0.0, warmup_steps=4, stages=(Stage(steps=50),))
    assert [lr_at(schedule, step) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    rates = [lr_at(schedule, step) for step in range(4, 50)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0


def test_stages_follow_each_other() -> None:
    small, large = Stage(steps=3, patch_size=8), Stage(steps=2, patch_size=16)
    schedule = ScheduleRecipe(stages=(small, large))
    assert [stage_at(schedule, step) for step in range(6)] == [small] * 3 + [large] * 3


@given(STAGES, st.data())
def test_batches_from_any_step_are_the_end_of_all_batches(
    stages: tuple[Stage, ...], data: st.DataObject
) -> None:
    schedule = ScheduleRecipe(stages=stages)
    step = data.draw(st.integers(0, total_steps(schedule)))
    batches = list(batches_from(schedule, 0))
    assert list(batches_from(schedule, step)) == batches[step:]
    assert samples_before(schedule, step) == sum(len(batch) for batch in batches[:step])
    numbers = [request.number for batch in batches for request in batch]
    assert numbers == list(range(len(numbers)))


@given(st.integers(1, 8), st.integers(1, 12), st.integers(1, 64), st.integers(1, 10_000))
def test_parts_are_equal_and_fit_or_are_single_samples(
    processes: int, share: int, patch: int, pixels: int
) -> None:
    stage = Stage(steps=1, patch_size=patch, batch_size=share * processes)
    assert parts_of(stage, processes, None) == 1
    parts = parts_of(stage, processes, pixels)
    assert share % parts == 0
    at_once = share // parts
    assert at_once == 1 or at_once * patch**2 <= pixels
    larger = [more for more in range(at_once + 1, share + 1) if share % more == 0]
    assert all(more * patch**2 > pixels for more in larger)
