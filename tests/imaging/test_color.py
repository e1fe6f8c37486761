from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from mirnet.imaging.color import rgb_to_y

LEVELS = st.integers(0, 255)


@given(red=LEVELS, green=LEVELS, blue=LEVELS)
@example(red=22, green=206, blue=0)  # a half that decimals in float64 fall short of
@example(red=0, green=204, blue=68)  # a half that they meet
def test_is_the_rounded_equation_in_exact_arithmetic(red: int, green: int, blue: int) -> None:
    image = torch.tensor([red, green, blue]).reshape(1, 3, 1, 1).float() / 255
    weighted = Fraction(65481 * red + 128553 * green + 24966 * blue, 255 * 1000)
    assert rgb_to_y(image).item() == math.floor(16 + weighted + Fraction(1, 2))


@pytest.mark.parametrize(
    ("rgb", "luma"),
    [((0, 0, 0), 16), ((1, 1, 1), 235), ((1, 0, 0), 81), ((0, 1, 0), 145), ((0, 0, 1), 41)],
)
def test_corners_of_the_cube(rgb: tuple[int, int, int], luma: int) -> None:
    assert rgb_to_y(torch.tensor(rgb).reshape(1, 3, 1, 1).float()).item() == luma


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_keeps_shape_and_dtype(dtype: torch.dtype) -> None:
    levels = torch.randint(0, 256, (2, 3, 5, 4), generator=torch.Generator().manual_seed(0))
    luma = rgb_to_y((levels / 255).to(dtype))
    assert luma.shape == (2, 1, 5, 4)
    assert luma.dtype == dtype
    if dtype != torch.bfloat16:  # has too few bits to hold all 256 levels
        assert torch.equal(luma.float(), rgb_to_y(levels / 255))


def test_refuses_what_is_not_rgb_in_0_to_1() -> None:
    for shape in [(1, 1, 4, 4), (3, 4, 4), (1, 4, 4, 3)]:
        with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
            rgb_to_y(torch.zeros(shape))
    with pytest.raises(ValueError, match="divide by 255"):
        rgb_to_y(torch.zeros(1, 3, 4, 4, dtype=torch.uint8))
