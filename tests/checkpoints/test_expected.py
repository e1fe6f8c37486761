from dataclasses import asdict

import pytest

from mirnet.checkpoints.expected import EXPECTED, Expected, expected_for
from mirnet.tasks.registry import TASKS


def test_each_task_has_bounds_and_unknown_ones_have_none() -> None:
    assert set(EXPECTED) == set(TASKS)
    for name, bounds in EXPECTED.items():
        assert expected_for(name) is bounds
    assert expected_for(None) == expected_for("of somebody") == Expected()


@pytest.mark.parametrize("name", EXPECTED)
def test_results_of_every_task_are_bounded_in_shift_and_white(name: str) -> None:
    bounds = expected_for(name)
    assert bounds.shift
    assert bounds.saturated
    values = asdict(bounds)
    del values["is_fine_in_bfloat16"]
    assert all(value > 0 for value in values.values() if value is not None)


@pytest.mark.parametrize("name", EXPECTED)
def test_inputs_of_every_task_are_bounded(name: str) -> None:
    bounds = expected_for(name)
    of_inputs = (bounds.brightest, bounds.quietest, bounds.noisiest, bounds.apart)
    assert any(bound is not None for bound in of_inputs)
    assert (bounds.apart is not None) == (TASKS[name].views == 2)
