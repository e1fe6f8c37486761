from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging import icc
from mirnet.imaging.io import read_header, read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo

RAMP = np.arange(256, dtype=np.uint8)[None, :, None]


def seen(pixels: np.ndarray[Any, Any], profile: bytes) -> np.ndarray[Any, Any]:
    """How pixels with this profile look, in sRGB (by Little CMS)."""
    image = pyvips.Image.new_from_array(pixels)
    image = image.copy(interpretation="srgb" if pixels.shape[2] == 3 else "b-w")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    looks: np.ndarray[Any, Any] = image.icc_transform("srgb", embedded=True).numpy()
    return looks.astype(int)


def test_our_srgb_is_srgb() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    profile = icc.rgb_profile(icc.SRGB, icc.SRGB_CURVE, "ours")
    assert np.abs(seen(pixels, profile) - pixels).max() <= 1
    assert (icc.name(profile), icc.channels(profile)) == ("ours", 3)


@pytest.mark.parametrize("curve", [(1.8,), (2.2,), icc.SRGB_CURVE, icc.CURVES[1]])
def test_grey_looks_the_same_as_three_equal_channels(curve: icc.Curve) -> None:
    grey = icc.grey_profile(curve, "grey")
    assert icc.channels(grey) == 1
    colour = icc.rgb_from_grey(grey)
    assert colour is not None
    assert icc.channels(colour) == 3
    difference = seen(np.repeat(RAMP, 3, axis=2), colour) - seen(RAMP, grey)
    assert np.abs(difference).max() <= 2  # Little CMS takes 8-bit short cuts in the shadows


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_a_grey_photo_keeps_its_look_where_grey_becomes_rgb(tmp_path: Path, suffix: str) -> None:
    grey = icc.grey_profile((1.8,), "gamma 1.8")
    photo = Photo(pixels=RAMP.repeat(8, axis=0), metadata=Metadata(icc=grey), is_lossless=True)
    path = tmp_path / f"a{suffix}"
    assert write_photo(photo, path) == ()
    back = read_photo(path)
    assert back.metadata.icc is not None
    difference = seen(back.pixels, back.metadata.icc) - seen(photo.pixels, grey)
    assert np.abs(difference).max() <= 1


def test_a_profile_for_other_channels_is_left_out_with_a_word(tmp_path: Path) -> None:
    wrong = icc.grey_profile((1.8,), "grey")
    photo = Photo(pixels=np.zeros((4, 4, 3), np.uint8), metadata=Metadata(icc=wrong))
    assert "not for these channels" in write_photo(photo, tmp_path / "a.png")[0]


@pytest.mark.parametrize("primaries", [(0.3, 0.3) * 4, (0.3, 0.0) * 4, (0.3, 0.3, *(0.5,) * 6)])
def test_impossible_primaries_are_refused(primaries: icc.Chromaticities) -> None:
    with pytest.raises(ValueError, match=r"primaries|chromaticity"):
        icc.rgb_profile(primaries, (2.2,), "")


def with_numbers(profile: bytes, transfer: int) -> bytes:
    """A profile with a ``cicp`` tag in place of its copyright."""
    at = profile.index(b"cprt", 128)
    entry = struct.pack(">4sLL", b"cicp", len(profile), 12)
    tag = struct.pack(">4s4x4B", b"cicp", 9, transfer, 0, 1)
    return profile[:at] + entry + profile[at + 12 :] + tag


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".avif"])
def test_a_profile_that_says_hdr_is_refused(suffix: str, tmp_path: Path) -> None:
    plain = icc.rgb_profile(icc.SRGB, (2.2,), "plain")
    path = tmp_path / f"a{suffix}"
    pixels = np.zeros((8, 8, 3), np.uint8)
    for transfer, reason in ((16, "HDR .PQ."), (18, "HDR .HLG."), (8, "linear light")):
        metadata = Metadata(icc=with_numbers(plain, transfer))
        write_photo(Photo(pixels=pixels, metadata=metadata), path)
        for read in (read_photo, read_header):
            with pytest.raises(PhotoError, match=reason):
                read(path)
    for profile in (plain, with_numbers(plain, 13), with_numbers(plain, 16)[:-2]):
        write_photo(Photo(pixels=pixels, metadata=Metadata(icc=profile)), path)
        assert read_photo(path).metadata.icc == profile
