import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import block_reduce

from mirnet.data.transforms import Augmentation, random_crop, random_flips, shrunk
from tests.conftest import random_pixels

ALL_KINDS: tuple[Augmentation, ...] = ("horizontal-flip", "vertical-flip", "transpose")


@given(st.integers(8, 20), st.integers(8, 20), st.integers(1, 8), st.integers(0, 2**32))
def test_a_crop_is_the_same_window_of_every_picture(
    height: int, width: int, size: int, seed: int
) -> None:
    view, target = random_pixels((height, width, 3)), random_pixels((height, width, 3), seed=1)
    where = np.arange(height * width).reshape(height, width, 1)
    rng = np.random.default_rng(seed)
    view_crop, target_crop, where_crop = random_crop([view, target, where], size, rng)
    top, left = divmod(int(where_crop[0, 0, 0]), width)
    window = np.s_[top : top + size, left : left + size]
    assert where_crop.shape == (size, size, 1)
    assert np.array_equal(view_crop, view[window])
    assert np.array_equal(target_crop, target[window])


def test_every_corner_is_reached() -> None:
    where = np.arange(9).reshape(3, 3, 1)
    rng = np.random.default_rng(0)
    corners = {int(random_crop([where], 2, rng)[0][0, 0, 0]) for _ in range(200)}
    assert corners == {0, 1, 3, 4}


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
