from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnet.errors import NonFiniteError
from mirnet.metrics.mae import mae


@given(seed=st.integers(0, 2**31), batch=st.integers(0, 3), channels=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_is_symmetric_bounded_and_independent_of_batch_and_scale(
    seed: int, batch: int, channels: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    output, target = torch.rand(2, batch, channels, 6, 5, generator=generator).double()
    ours = mae(output, target, data_range=1)
    assert ours.shape == (batch,)
    assert ((ours >= 0) & (ours <= 1)).all()
    assert torch.equal(ours, mae(target, output, data_range=1))
    torch.testing.assert_close(ours, mae(output * 255, target * 255, data_range=255))
    for i in range(batch):
        alone = mae(output[i : i + 1], target[i : i + 1], data_range=1)
        torch.testing.assert_close(alone, ours[i : i + 1], atol=1e-12, rtol=0)


def test_ends_of_the_scale() -> None:
    black = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    assert mae(black, black, data_range=255).item() == 0
    assert mae(black, black + 255, data_range=255).item() == 1


def test_refuses_what_it_cannot_compare() -> None:
    image = torch.rand(1, 3, 4, 4)
    with pytest.raises(ValueError, match="data_range"):
        mae(image, image, data_range=0)
    with pytest.raises(ValueError, match="nothing is broadcast"):
        mae(image, image[:, :1], data_range=1)
    with pytest.raises(NonFiniteError, match="output"):
        mae(image * torch.nan, image, data_range=1)
