import torch
from hypothesis import given
from hypothesis import strategies as st

from mirnet.inference.padding import crop, pad, padded_size


@given(height=st.integers(1, 40), width=st.integers(1, 40), multiple=st.sampled_from([1, 2, 4]))
def test_padding_is_the_least_that_fits_and_cropping_undoes_it(
    height: int, width: int, multiple: int
) -> None:
    image = torch.rand(2, 3, height, width)
    padded = pad(image, multiple)
    assert padded.shape[2:] == padded_size(height, width, multiple)
    assert padded.shape[2] % multiple == 0 <= padded.shape[2] - height < multiple
    assert padded.shape[3] % multiple == 0 <= padded.shape[3] - width < multiple
    assert torch.equal(crop(padded, height, width), image)


def test_padding_continues_by_reflection() -> None:
    row = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 1, 1, 5)
    assert pad(row, 4)[0, 0, 0].tolist() == [1, 2, 3, 4, 5, 4, 3, 2]


def test_a_single_pixel_is_repeated() -> None:
    assert pad(torch.full((1, 3, 1, 1), 0.3), 4).eq(0.3).all()


def test_a_size_that_fits_is_not_copied() -> None:
    image = torch.rand(1, 3, 8, 4)
    assert pad(image, 4).data_ptr() == image.data_ptr()
