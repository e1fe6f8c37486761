import os
from pathlib import Path

import numpy as np
import pytest

from mirnet.data.decoded import DecodedPictures
from mirnet.errors import DataError
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from tests.conftest import random_pixels


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    write_photo(Photo(pixels=random_pixels((9, 14, 3), np.uint16)), path)
    return path


def test_pictures_are_decoded_once(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    pixels = read_photo(photo).pixels
    assert np.array_equal(DecodedPictures(cache).get(photo), pixels)
    monkeypatch.setattr("mirnet.data.decoded.read_photo", lambda _: pytest.fail("decoded again"))
    again = DecodedPictures(cache).get(photo)
    assert isinstance(again, np.memmap)
    assert again.dtype == np.uint16
    assert np.array_equal(again, pixels)


def test_a_changed_file_is_decoded_again(tmp_path: Path, photo: Path) -> None:
    pictures = DecodedPictures(tmp_path / "cache")
    pictures.get(photo)
    changed = random_pixels((9, 14, 3), np.uint16, seed=1)
    write_photo(Photo(pixels=changed), photo)
    os.utime(photo, ns=(1, 1))
    assert np.array_equal(pictures.get(photo), changed)


def test_nothing_half_written_is_taken_for_a_picture(
    tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"

    def fail(path: Path, _array: object) -> None:
        path.write_bytes(b"\x93NUMPY half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", fail)
        with pytest.raises(DataError, match="no space"):
            DecodedPictures(cache).get(photo)
    assert list(cache.iterdir()) == []
    assert DecodedPictures(cache).get(photo).shape == (9, 14, 3)
