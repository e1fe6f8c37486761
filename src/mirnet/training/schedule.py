"""The schedule of a run as pure functions of the step, counted from 0."""

from __future__ import annotations

import math
from collections.abc import Iterator

from mirnet.data.loader import SampleRequest
from mirnet.training.recipe import ScheduleRecipe, Stage


def total_steps(schedule: ScheduleRecipe) -> int:
    """Steps of the whole run."""
    return sum(stage.steps for stage in schedule.stages)


def stage_at(schedule: ScheduleRecipe, step: int) -> Stage:
    """The stage that a step belongs to; the last one from its start on."""
    for stage in schedule.stages:
        if step < stage.steps:
            return stage
        step -= stage.steps
    return schedule.stages[-1]


def lr_at(schedule: ScheduleRecipe, step: int) -> float:
    """The learning rate of a step: linear warm-up, then a cosine from ``lr`` to ``lr_min``.

    The last step has ``lr_min`` exactly. Where there are segments, each goes from its rate to its
    end by half a cosine, and has both exactly.
    """
    if schedule.segments:
        for segment in schedule.segments:
            if step < segment.steps:
                return _cosine(segment.lr, segment.lr_end, step / max(segment.steps - 1, 1))
            step -= segment.steps
        return schedule.segments[-1].lr_end
    if step < schedule.warmup_steps:
        return schedule.lr * (step + 1) / (schedule.warmup_steps + 1)
    span = max(total_steps(schedule) - 1 - schedule.warmup_steps, 1)
    progress = min((step - schedule.warmup_steps) / span, 1.0)
    return _cosine(schedule.lr, schedule.lr_min, progress)


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def samples_before(schedule: ScheduleRecipe, step: int) -> int:
    """How many samples the run has drawn before this step."""
    samples = 0
    for stage in schedule.stages:
        here = min(step, stage.steps)
        samples += here * stage.batch_size
        step -= here
    return samples


def batches_from(schedule: ScheduleRecipe, first_step: int) -> Iterator[list[SampleRequest]]:
    """The samples of each step from ``first_step`` to the end of the run."""
    number = samples_before(schedule, first_step)
    for step in range(first_step, total_steps(schedule)):
        stage = stage_at(schedule, step)
        size, shrink = stage.patch_size, stage.shrink
        yield [SampleRequest(number + i, size, shrink) for i in range(stage.batch_size)]
        number += stage.batch_size


def parts_of(stage: Stage, processes: int, pixels_at_once: int | None) -> int:
    """How many equal parts a process computes its share of a batch in; one sample at least each."""
    share = stage.batch_size // processes
    if pixels_at_once is None:
        return 1
    fitting = max(pixels_at_once // stage.patch_size**2, 1)
    return next(
        parts for parts in range(1, share + 1) if share % parts == 0 and share // parts <= fitting
    )


def ema_at(decay: float, step: int) -> float:
    """The decay of the average after a step: less at first, so that it forgets where it began.

    ``min(decay, (1 + step) / (10 + step))``: of the first weights, a hundred-thousandth is left
    after ten steps.
    """
    return min(decay, (1 + step) / (10 + step))
