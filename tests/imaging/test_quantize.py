from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirnet.imaging.quantize import from_planes, quantize, to_float, to_planes

WHOLE = [(np.uint8, 255), (np.uint16, 65535)]


@pytest.mark.parametrize(("dtype", "white"), WHOLE)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_level_comes_back(dtype: Any, white: int, channels: int) -> None:
    levels = np.arange(white + 1, dtype=dtype)
    pixels = np.stack([np.roll(levels, 7 * c) for c in range(channels)], axis=-1)[None]
    back = from_planes(to_planes(pixels), channels=channels, dtype=dtype)
    assert back.dtype == dtype
    assert np.array_equal(back, pixels)


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from([1, 3]),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.integers(0, 2**32 - 1),
)
def test_round_trip_of_any_size(
    height: int, width: int, channels: int, dtype: Any, seed: int
) -> None:
    values = np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)
    pixels = quantize(values, dtype)
    planes = to_planes(pixels)
    assert planes.shape == (3, height, width)
    assert planes.dtype == np.float32
    assert planes.flags.c_contiguous
    back = from_planes(planes, channels=channels, dtype=dtype)
    assert back.dtype == dtype
    assert back.flags.c_contiguous
    np.testing.assert_allclose(back, pixels, atol=1e-7 if dtype == np.float32 else 0)


@pytest.mark.parametrize(("dtype", "white"), WHOLE)
def test_halves_are_rounded_up_and_the_rest_to_the_nearest(dtype: Any, white: int) -> None:
    steps = np.array([-9, 0, 0.49, 0.5, 1.5, 2.5, 2.51, white - 0.5, white, white + 9])
    expected = [0, 0, 0, 1, 2, 3, 3, white, white, white]
    assert quantize(steps / white, dtype).tolist() == expected


@pytest.mark.parametrize(("dtype", "white"), WHOLE)
def test_float32_values_beside_halves_go_to_the_nearest_level(dtype: Any, white: int) -> None:
    halves = ((np.arange(white) + 0.5) / white).astype(np.float32)
    beside = [halves, np.nextafter(halves, np.float32(0)), np.nextafter(halves, np.float32(1))]
    for values in map(np.atleast_2d, beside):
        assert np.array_equal(quantize(values, dtype), np.floor(np.float64(values) * white + 0.5))


def test_quantizing_floats_only_clips() -> None:
    assert quantize(np.array([-1, 0.3, 2], np.float32), np.float32).tolist() == [
        0,
        np.float32(0.3),
        1,
    ]


def test_quantizing_leaves_its_input_alone() -> None:
    values = np.array([0.1, 0.7], np.float32)
    before = values.copy()
    quantize(values, np.uint8)
    assert np.array_equal(values, before)


def test_planes_are_a_copy_even_of_one_float_pixel() -> None:
    pixels = np.full((1, 1, 3), 0.5, np.float32)
    to_planes(pixels)[:] = 0
    assert pixels.min() == 0.5


def test_grey_is_the_mean_of_the_planes() -> None:
    planes = np.array([0.0, 0.5, 1.0], np.float32).reshape(3, 1, 1)
    assert from_planes(planes, channels=1, dtype=np.uint8).tolist() == [[[128]]]


def test_other_types_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="not int32"):
        to_float(np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="not bool"):
        quantize(np.zeros(3), bool)
    with pytest.raises(ValueError, match=r"\(4, 5\)"):
        to_planes(np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match=r"\(1, 4, 5\)"):
        from_planes(np.zeros((1, 4, 5)), channels=1, dtype=np.uint8)
    with pytest.raises(ValueError, match="not 2"):
        from_planes(np.zeros((3, 4, 5)), channels=2, dtype=np.uint8)


def test_equal_planes_give_themselves_and_not_their_mean() -> None:
    levels = np.random.default_rng(0).random((1, 50, 50), np.float32)
    planes = np.repeat(levels, 3, axis=0)
    grey = from_planes(planes, channels=1, dtype=np.float32)
    assert np.array_equal(grey[:, :, 0], levels[0])
