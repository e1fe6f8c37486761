"""Work that is done ahead, and how much of it."""

from collections.abc import Iterator

import pytest

from mirnet.data import ahead
from mirnet.data.ahead import MOST, in_order


@pytest.mark.parametrize(
    ("cores", "threads", "waiting"), [(64, None, MOST), (2, None, 2), (2, 5, 5)]
)
def test_results_come_in_order_and_few_wait(
    cores: int, threads: int | None, waiting: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "cores", lambda: cores)
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    results = in_order(lambda number: number * 2, items(), threads)
    assert next(results) == (0, 0)
    assert len(taken) == waiting + 1
    assert list(results) == [(number, number * 2) for number in range(1, 20)]
