from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo

from .conftest import exif_block

METADATA = Metadata(exif=exif_block(t_271=b"Acme\0"), xmp=b"<x/>", icc=bytes(16) + b"RGB " + b"x")


@pytest.mark.parametrize("is_lossless", [False, True])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_metadata_goes_into_every_kind_of_file(
    save: Any, is_lossless: bool, has_alpha: bool
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (17, 23, 3), np.uint8)
    alpha = noise[:, :, 0] if has_alpha else None
    photo = Photo(pixels=noise, alpha=alpha, metadata=METADATA, is_lossless=is_lossless)
    path = save(b"", "a.webp")
    assert write_photo(photo, path) == ()
    back = read_photo(path)
    assert back.metadata == METADATA
    assert back.is_lossless is is_lossless
    assert (back.alpha is not None) is has_alpha
    # Other readers find it where it belongs.
    other = pyvips.Image.new_from_file(str(path))
    assert other.get("xmp-data") == METADATA.xmp
    assert other.get("icc-profile-data") == METADATA.icc
    assert other.get("exif-ifd0-Make").startswith("Acme")


def test_lossless_stays_so_unless_a_quality_is_told(image: Any, save: Any) -> None:
    photo = read_photo(save(image.webpsave_buffer(lossless=True), "a.webp"))
    assert photo.is_lossless
    copy = save(b"", "b.webp")
    write_photo(photo, copy)
    assert np.array_equal(read_photo(copy).pixels, image.numpy())
    write_photo(photo, copy, quality=95)
    assert not np.array_equal(read_photo(copy).pixels, image.numpy())
    assert not read_photo(copy).is_lossless


def test_what_can_t_be_held_is_said(save: Any) -> None:
    metadata = Metadata(iptc=b"\x1c\x02\x19\0\1x", texts=(("Title", "a"),))
    photo = Photo(pixels=np.zeros((4, 4, 3), np.uint8), metadata=metadata)
    assert write_photo(photo, save(b"", "a.webp")) == (
        "IPTC can't be held by WebP; left out",
        "the text Title can't be held by WebP; left out",
    )


def test_a_file_that_is_shorter_than_it_says_is_refused(image: Any, save: Any) -> None:
    content = bytes(image.webpsave_buffer(lossless=True, keep="none"))
    with pytest.raises(PhotoError, match="truncated"):
        read_photo(save(content[:-3], "a.webp"))
    with pytest.raises(PhotoError, match="damaged"):
        read_photo(save(content[: len(content) // 2], "b.webp"), allow_damaged=True)
