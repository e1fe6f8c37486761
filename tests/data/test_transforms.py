import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import block_reduce

from mirnet.data.transforms import Augmentation, mixed, random_flips, random_region, shrunk
from tests.conftest import random_pixels

ALL_KINDS: tuple[Augmentation, ...] = ("horizontal-flip", "vertical-flip", "transpose")


@given(st.integers(8, 20), st.integers(8, 20), st.integers(1, 8), st.integers(0, 2**32))
def test_a_region_lies_within(height: int, width: int, side: int, seed: int) -> None:
    region = random_region((height, width), side, np.random.default_rng(seed))
    assert (region.height, region.width) == (side, side)
    assert 0 <= region.top <= height - side
    assert 0 <= region.left <= width - side


def test_every_corner_is_reached() -> None:
    rng = np.random.default_rng(0)
    corners = {random_region((3, 4), 2, rng)[:2] for _ in range(200)}
    assert corners == {(top, left) for top in range(2) for left in range(3)}


def test_a_mixed_sample_is_mixed_alike() -> None:
    one = tuple(random_pixels((3, 2, 2), np.float32, seed) for seed in (0, 1))
    other = tuple(random_pixels((3, 2, 2), np.float32, seed) for seed in (2, 3))
    for got, a, b in zip(mixed(one, other, 0.25), one, other, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, 0.25 * a + 0.75 * b, rtol=1e-6)


def test_three_kinds_make_all_eight_symmetries() -> None:
    picture = np.arange(16).reshape(4, 4, 1)
    rng = np.random.default_rng(0)
    seen = {random_flips([picture], ALL_KINDS, rng)[0].tobytes() for _ in range(300)}
    turned = [np.rot90(side, turns) for side in (picture, picture[::-1]) for turns in range(4)]
    assert seen == {np.ascontiguousarray(side).tobytes() for side in turned}


def test_the_paper_s_two_kinds_make_four() -> None:
    picture = np.arange(16).reshape(4, 4, 1)
    rng = np.random.default_rng(0)
    seen = {random_flips([picture], ALL_KINDS[:2], rng)[0].tobytes() for _ in range(300)}
    assert len(seen) == 4


def test_pictures_of_a_pair_are_flipped_alike() -> None:
    picture = np.arange(16).reshape(4, 4, 1)
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, two = random_flips([picture, picture], ALL_KINDS, rng)
        assert np.array_equal(one, two)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))
def test_shrinking_averages_blocks(factor: int, rows: int, columns: int) -> None:
    planes = random_pixels((3, rows * factor, columns * factor)).astype(np.float32)
    expected = block_reduce(planes, (1, factor, factor), np.mean)
    np.testing.assert_allclose(shrunk(planes, factor), expected, atol=1e-6)
