import numpy as np
import pytest
import torch
from PIL import Image

from mirnet.imaging.resize import enlarged, resized


@pytest.mark.parametrize(("height", "width"), [(24, 34), (36, 51), (5, 9), (12, 17)])
def test_it_is_the_cubic_interpolation_of_pillow(height: int, width: int) -> None:
    picture = np.random.default_rng(0).random((12, 17, 1), np.float32)
    expected = Image.fromarray(picture[:, :, 0]).resize((width, height), Image.Resampling.BICUBIC)
    assert np.abs(resized(picture, height, width)[:, :, 0] - np.asarray(expected)).max() <= 1e-5


def test_an_enlargement_is_clipped() -> None:
    edge = torch.tensor([0.0, 0, 1, 1]).expand(1, 3, 4, 4)
    larger = enlarged(edge, 3)
    assert larger.shape == (1, 3, 12, 12)
    assert (float(larger.min()), float(larger.max())) == (0, 1)
