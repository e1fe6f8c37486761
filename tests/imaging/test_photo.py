from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image

from mirnet.imaging.metadata import Metadata, iptc_from_photoshop, iptc_to_photoshop
from mirnet.imaging.photo import Photo

Shape = tuple[int, ...]


def icc(tag: bytes) -> bytes:
    """A profile whose only tag is a description."""
    header = bytes(16) + b"RGB " + bytes(108)
    return header + struct.pack(">L4sLL", 1, b"desc", 144, len(tag)) + tag


def icc_v2(name: bytes) -> bytes:
    return icc(b"desc" + bytes(4) + struct.pack(">L", len(name) + 1) + name + b"\0" + bytes(67))


def icc_v4(name: str) -> bytes:
    text = name.encode("utf-16-be")
    record = struct.pack(">LL2s2sLL", 1, 12, b"en", b"US", len(text), 28)
    return icc(b"mluc" + bytes(4) + record + text)


def photo(shape: Shape = (4, 5, 3), dtype: Any = np.uint8, alpha: bool = False) -> Photo:
    return Photo(
        pixels=np.zeros(shape, dtype), alpha=np.full(shape[:2], 200, dtype) if alpha else None
    )


def test_a_photo_tells_its_size_and_kind() -> None:
    grey = photo((4, 5, 1), np.uint16)
    assert (grey.height, grey.width, grey.is_grey, grey.depth) == (4, 5, True, "16")
    assert (photo().depth, photo(dtype=np.float32).depth) == ("8", "float")
    assert not photo().is_grey


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 2), (4, 5, 4), (0, 5, 3), (4, 0, 1)])
def test_other_shapes_are_refused(shape: Shape) -> None:
    with pytest.raises(ValueError, match=r"must be \(H, W, 1\) or \(H, W, 3\)"):
        photo(shape)


def test_other_types_are_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        photo(dtype=np.float64)


def test_alpha_must_fit_the_pixels() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(ValueError, match="alpha"):
        Photo(pixels=pixels, alpha=np.zeros((4, 6), np.uint8))
    with pytest.raises(ValueError, match="uint16"):
        Photo(pixels=pixels, alpha=np.zeros((4, 5), np.uint16))


def test_new_pixels_keep_alpha_and_metadata() -> None:
    before = Photo(
        pixels=np.zeros((4, 5, 3), np.uint8),
        alpha=np.full((4, 5), 200, np.uint8),
        metadata=Metadata(xmp=b"<x/>"),
    )
    after = before.with_pixels(np.ones((4, 5, 3), np.uint8))
    assert after.pixels.max() == 1
    assert after.alpha is before.alpha
    assert after.metadata == before.metadata


@pytest.mark.parametrize(("dtype", "expected"), [(np.uint16, 200 * 257), (np.float32, 200 / 255)])
def test_alpha_follows_the_dtype(dtype: Any, expected: float) -> None:
    after = photo(alpha=True).with_pixels(np.zeros((4, 5, 3), dtype))
    assert after.alpha is not None
    assert after.alpha.dtype == dtype
    assert np.allclose(after.alpha, expected)


def test_alpha_is_brought_to_another_size() -> None:
    assert photo().with_pixels(np.zeros((8, 10, 3), np.uint8)).width == 10
    before = photo(alpha=True)
    after = before.with_pixels(np.zeros((8, 10, 3), np.uint16))
    assert before.alpha is not None
    assert after.alpha is not None
    assert after.alpha.shape == (8, 10)
    assert after.alpha.dtype == np.uint16
    expected = Image.fromarray(before.alpha).resize((10, 8), Image.Resampling.BICUBIC)
    assert np.abs(after.alpha / 257 - np.asarray(expected)).max() <= 1


def test_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        photo().with_pixels(np.zeros((4, 5, 1), np.uint8))


@pytest.mark.parametrize("profile", [icc_v2(b"Display P3"), icc_v4("Display P3")])
def test_the_profile_is_named(profile: Any) -> None:
    metadata = Metadata(icc=profile)
    assert metadata.profile_name == "Display P3"
    assert not metadata.is_srgb


@pytest.mark.parametrize("profile", [None, icc_v2(b"sRGB IEC61966-2.1"), icc_v4("sRGB2014")])
def test_srgb_is_recognised(profile: Any) -> None:
    assert Metadata(icc=profile).is_srgb


@pytest.mark.parametrize(("name", "is_srgb"), [("srgb", True), ("p3", False)])
def test_real_profiles_are_named(name: str, is_srgb: bool) -> None:
    black = pyvips.Image.black(2, 2, bands=3).copy(interpretation="srgb")
    metadata = Metadata(icc=black.icc_transform(name).get("icc-profile-data"))
    assert metadata.profile_name
    assert metadata.is_srgb is is_srgb
    assert metadata.profile_channels == 3


@pytest.mark.parametrize("length", [0, 20, 130, 140, 150, 160])
def test_a_damaged_profile_has_no_name_and_is_not_srgb(length: int) -> None:
    metadata = Metadata(icc=icc_v4("sRGB")[:length] + b"\xff")
    assert metadata.profile_name is None
    assert not metadata.is_srgb


def test_iptc_goes_in_and_out_of_a_photoshop_block() -> None:
    records = b"\x1c\x02\x78\x00\x05hello\x1c\x02\x05\x00\x01x"
    other = b"8BIM\x03\xed\x03abc" + struct.pack(">L", 3) + b"xyz\0"
    block = iptc_to_photoshop(records)
    assert iptc_from_photoshop(block) == records
    assert iptc_from_photoshop(block[:14] + other + block[14:]) == records
    assert iptc_from_photoshop(block[:14] + other) is None
    assert iptc_from_photoshop(block[14:]) == records
    assert iptc_from_photoshop(records) is None
