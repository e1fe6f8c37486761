"""Two methods on the same pairs by the same protocol: is the difference more than chance?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirnet.errors import DataError
from mirnet.evaluation.scores import Scores
from mirnet.metrics.protocol import LOWER_IS_BETTER

RESAMPLES = 10_000
LEVEL = 0.95
SEED = 0
FEWEST = 6
"""Pairs below which no interval is given: five fall on one side by chance too easily."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The second method's scores minus the first's, pair by pair.

    Attributes:
        metric: which one.
        first: mean of the first method.
        second: mean of the second.
        mean: of the differences; 0 where each is better by infinity on some pair, so that both
            means are infinite, and equal.
        low: where the 95 % confidence interval of ``mean`` begins (paired bootstrap over pairs, as
            if each were drawn by itself: blocks of one photo make it too narrow); minus infinity
            where there are fewer than ``FEWEST`` pairs, or one differs by infinity.
        high: where it ends.
        better: pairs on which the second is better.
        worse: pairs on which it is worse.
        pairs: all that were compared; equal ones are neither better nor worse.
    """

    metric: str
    first: float
    second: float
    mean: float
    low: float
    high: float
    better: int
    worse: int
    pairs: int

    @property
    def is_clear(self) -> bool:
        """Whether the confidence interval leaves out 0."""
        return self.low > 0 or self.high < 0


def compare(first: Scores, second: Scores) -> tuple[Difference, ...]:
    """The paired differences of each metric that both have.

    Raises DataError if the two were not measured by the same protocol on the same pictures: such
    numbers can't be compared.
    """
    _require_comparable(first, second)
    of_second = {pair.id: pair for pair in second.pairs}
    matched = [of_second[pair.id] for pair in first.pairs]
    return tuple(
        _difference(
            metric,
            np.array([pair.scores[metric] for pair in first.pairs], np.float64),
            np.array([pair.scores[metric] for pair in matched], np.float64),
        )
        for metric in first.pairs[0].scores
        if metric in second.pairs[0].scores
    )


def _require_comparable(first: Scores, second: Scores) -> None:
    for key in ("name", "version"):
        if first.protocol[key] != second.protocol[key]:
            raise DataError(
                f"the protocols differ ({key} {first.protocol[key]} and {second.protocol[key]}); "
                "score both by one"
            )
    every = first.protocol.keys() | second.protocol.keys()
    # One may have LPIPS and the other not: what both have is compared.
    if any(first.protocol.get(key) != second.protocol.get(key) for key in every - {"metrics"}):
        raise DataError(
            f"protocol {first.protocol['name']} was changed between the two; score again"
        )
    ours, theirs = ({pair.id: pair.digests for pair in each.pairs} for each in (first, second))
    if alone := sorted(ours.keys() ^ theirs.keys()):
        raise DataError(f"{alone[0]} was scored for one of the two alone; score both on all pairs")
    if other := [name for name, digests in ours.items() if digests != theirs[name]]:
        raise DataError(f"the pictures differ ({other[0]}); score both on the same data")


def _difference(metric: str, first: NDArray[np.float64], second: NDArray[np.float64]) -> Difference:
    differences = np.zeros_like(first)
    # Where both are infinite, they are equal, and their difference is no number.
    np.subtract(second, first, out=differences, where=first != second)
    sign = -1 if metric in LOWER_IS_BETTER else 1
    low, high = _interval(differences)
    return Difference(
        metric=metric,
        first=float(first.mean()),
        second=float(second.mean()),
        mean=_mean(differences),
        low=low,
        high=high,
        better=int((sign * differences > 0).sum()),
        worse=int((sign * differences < 0).sum()),
        pairs=len(differences),
    )


def _mean(differences: NDArray[np.float64]) -> float:
    if {-np.inf, np.inf} <= set(differences):  # whose sum is no number
        return 0.0
    return float(differences.mean())


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Of the mean, by drawing as many pairs as there are, with replacement, again and again."""
    if len(differences) < FEWEST or not np.isfinite(differences).all():
        return float("-inf"), float("inf")
    rng = np.random.default_rng(SEED)
    means = [
        differences[rng.integers(len(differences), size=len(differences))].mean()
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
