from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from mirnet.imaging.decoding import _spread


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_values_are_spread_in_place_to_the_nearest(bits: int) -> None:
    levels = np.arange(1 << bits, dtype=np.uint32)
    array = (levels << (16 - bits)).astype(np.uint16).reshape(-1, 4, 1)
    _spread(array, bits)
    expected = np.floor(levels / ((1 << bits) - 1) * 65535 + 0.5)
    assert np.array_equal(array.ravel(), expected)


@pytest.mark.parametrize("bits", [10, 16])
def test_spreading_takes_little_memory(bits: int) -> None:
    array = np.ones((2000, 1000, 3), np.uint16)
    tracemalloc.start()
    try:
        _spread(array, bits)
        assert tracemalloc.get_traced_memory()[1] < array.nbytes / 4
    finally:
        tracemalloc.stop()
