from dataclasses import replace

import numpy as np
import pytest

from mirnet.errors import DataError
from mirnet.evaluation.compare import compare
from mirnet.evaluation.scores import PairScore, Scores
from tests.evaluation.test_scores import pair, scores


def with_psnr(values: list[float]) -> Scores:
    return scores(*(pair(f"{number}", value) for number, value in enumerate(values)))


def test_the_interval_is_that_of_a_normal_mean() -> None:
    """Many pairs: the bootstrap agrees with the textbook's 1.96 standard errors."""
    rng = np.random.default_rng(0)
    first = rng.normal(30, 3, 400)
    gain = rng.normal(0.2, 1, 400)
    (found,) = compare(with_psnr(list(first)), with_psnr(list(first + gain)))
    error = gain.std(ddof=1) / np.sqrt(400)
    assert found.mean == pytest.approx(gain.mean(), abs=1e-9)
    assert found.low == pytest.approx(gain.mean() - 1.96 * error, abs=0.01)
    assert found.high == pytest.approx(gain.mean() + 1.96 * error, abs=0.01)
    assert found.better + found.worse == found.pairs == 400
    assert found.is_clear
    assert found.better == (gain > 0).sum()


def test_equal_methods_differ_by_nothing() -> None:
    same = with_psnr([np.inf, 20, 30, 31, 32, 33])
    (found,) = compare(same, same)
    assert (found.mean, found.low, found.high, found.better, found.worse) == (0, 0, 0, 0, 0)
    assert not found.is_clear


def test_one_infinite_score_leaves_no_interval() -> None:
    (found,) = compare(with_psnr([20, 30]), with_psnr([np.inf, 30]))
    assert found.mean == np.inf
    assert not found.is_clear


@pytest.mark.filterwarnings("error")
def test_infinity_on_either_side_is_no_difference() -> None:
    (found,) = compare(with_psnr([np.inf, 20, 30]), with_psnr([20, np.inf, 31]))
    assert (found.first, found.second, found.mean) == (np.inf, np.inf, 0)
    assert (found.low, found.high, found.better, found.worse) == (-np.inf, np.inf, 2, 1)


def test_lower_is_better_for_a_distance() -> None:
    def with_mae(value: float) -> Scores:
        one = PairScore(
            id="a", group=None, scores={"mae": value}, input={"mae": 1}, digests=("a",), seconds=0
        )
        return scores(one)

    (found,) = compare(with_mae(0.2), with_mae(0.1))
    assert (found.better, found.worse) == (1, 0)


def test_what_can_t_be_compared_is_refused() -> None:
    first = with_psnr([1, 2])
    with pytest.raises(DataError, match="protocols differ"):
        compare(first, replace(first, protocol={"name": "lol", "version": 1}))
    with pytest.raises(DataError, match=r"protocols differ \(version 1 and 2\)"):
        compare(first, replace(first, protocol={"name": "photo", "version": 2}))
    with pytest.raises(DataError, match="protocol photo was changed"):
        compare(first, replace(first, protocol={**first.protocol, "ssim": "uniform"}))
    with pytest.raises(DataError, match="2 was scored for one of the two alone"):
        compare(first, with_psnr([1, 2, 3]))
    other = replace(first, pairs=(replace(first.pairs[0], digests=("x",)), first.pairs[1]))
    with pytest.raises(DataError, match=r"pictures differ \(0\)"):
        compare(first, other)


def test_pairs_are_matched_by_name_in_whatever_order_they_stand() -> None:
    first = with_psnr([10, 20, 30, 40, 50, 60])
    second = with_psnr([11, 21, 31, 41, 51, 61])
    turned = replace(second, pairs=second.pairs[::-1])
    (found,) = compare(first, turned)
    assert (found.mean, found.low, found.high, found.better) == (1, 1, 1, 6)


def test_of_a_few_pairs_nothing_is_clear() -> None:
    (found,) = compare(with_psnr([1, 2, 3, 4, 5]), with_psnr([2, 3, 4, 5, 6]))
    assert (found.mean, found.low, found.high) == (1, -np.inf, np.inf)
    assert not found.is_clear
