import math

import pytest

from mirnet.training.checked import Within


@pytest.mark.parametrize(
    ("within", "inside", "outside"),
    [
        (Within(0), (0, 1e300), (-1e-9, math.inf, math.nan)),
        (Within(0, is_open=True), (1e-300,), (0, math.inf)),
        (Within(1, 4), (1, 4), (0.999, 4.001)),
        (Within(0, 1, is_open=True), (0.001, 0.999), (0, 1)),
    ],
)
def test_ends_belong_to_a_range_unless_it_is_open(
    within: Within, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    assert all(value in within for value in inside)
    assert not any(value in within for value in outside)


@pytest.mark.parametrize(
    ("within", "rule"),
    [
        (Within(1), "at least 1"),
        (Within(0, is_open=True), "above 0"),
        (Within(0, 256), "from 0 to 256"),
        (Within(0, 1, is_open=True), "above 0 and below 1"),
    ],
)
def test_a_range_says_its_rule(within: Within, rule: str) -> None:
    assert str(within) == rule
