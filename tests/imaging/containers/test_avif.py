from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging.containers.boxes import boxes
from mirnet.imaging.io import read_header, read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo

from .conftest import exif_block


def avif(image: Any, **options: Any) -> bytes:
    return bytes(image.heifsave_buffer(compression="av1", keep="none", **options))


def with_colour(content: bytes, primaries: int, transfer: int, matrix: int = 6) -> bytes:
    """A file whose nclx says these numbers; libheif writes one only for lossless pictures."""
    at = content.index(b"nclx") + 4
    numbers = b"".join(value.to_bytes(2, "big") for value in (primaries, transfer, matrix))
    return content[:at] + numbers + content[at + 6 :]


@pytest.fixture
def tagged(image: Any) -> bytes:
    return avif(image, lossless=True, subsample_mode="off")


def test_hdr_is_refused_and_p3_becomes_a_profile(tagged: bytes, save: Any) -> None:
    for transfer, reason in ((16, "HDR .PQ."), (18, "HDR .HLG."), (8, "linear light")):
        path = save(with_colour(tagged, 9, transfer), "a.avif")
        for read in (read_photo, read_header):
            with pytest.raises(PhotoError, match=reason):
                read(path)
    photo = read_photo(save(with_colour(tagged, 12, 13), "a.avif"))
    assert photo.metadata.profile_channels == 3
    assert photo.metadata.profile_name == "CICP 12/13"
    assert read_photo(save(with_colour(tagged, 1, 13), "a.avif")).metadata.icc is None


def test_lossless_stays_so(image: Any, tagged: bytes, save: Any) -> None:
    photo = read_photo(save(tagged, "a.avif"))
    assert photo.is_lossless
    copy = save(b"", "b.avif")
    write_photo(photo, copy)
    assert np.array_equal(read_photo(copy).pixels, image.numpy())
    assert not read_photo(save(avif(image), "c.avif")).is_lossless


@pytest.mark.parametrize("has_alpha", [False, True])
@pytest.mark.parametrize("is_lossless", [False, True])
@pytest.mark.parametrize("held", [("exif",), ("xmp",), ("exif", "xmp", "icc")])
def test_metadata_is_written_where_others_find_it(
    image: Any, save: Any, has_alpha: bool, is_lossless: bool, held: tuple[str, ...]
) -> None:
    black = pyvips.Image.black(2, 2, bands=3).copy(interpretation="srgb")
    everything: dict[str, Any] = {
        "exif": exif_block(t_271=b"Acme\0", t_274=1),
        "xmp": b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
        "icc": bytes(black.icc_transform("p3").get("icc-profile-data")),
    }
    metadata = Metadata(**{name: everything[name] for name in held})
    pixels = image.numpy()
    alpha = pixels[:, :, 0] if has_alpha else None
    path = save(b"", "a.avif")
    photo = Photo(pixels=pixels, alpha=alpha, metadata=metadata, is_lossless=is_lossless)
    assert write_photo(photo, path) == ()
    back = read_photo(path)
    assert back.metadata == metadata
    assert np.abs(back.pixels.astype(int) - pixels).max() <= (0 if is_lossless else 10)
    content = path.read_bytes()
    assert [box.kind for box in boxes(content, 0, len(content))][:2] == [b"ftyp", b"meta"]
    other = pyvips.Image.new_from_file(str(path))
    assert (other.get_typeof("xmp-data") and bytes(other.get("xmp-data"))) == (metadata.xmp or 0)
    assert ("exif-ifd0-Make" in other.get_fields()) is ("exif" in held)


def test_a_box_name_that_is_no_text_leaves_the_next_photo_alone(image: Any, save: Any) -> None:
    sound = avif(image)
    at = sound.index(b"ispe")
    broken = save(sound[:at] + b"i\xc8\xff\xfe" + sound[at + 4 :], "a.avif")
    good = save(sound, "b.avif")
    before = read_photo(good).pixels
    for _ in range(3):
        with pytest.raises(PhotoError) as info:
            read_photo(broken)
        assert "\n" not in str(info.value)
        assert np.array_equal(read_photo(good).pixels, before)


def test_odd_tables_are_refused_or_left_out(tagged: bytes, image: Any, save: Any) -> None:
    at = tagged.index(b"nclx") - 4
    size = int.from_bytes(tagged[at - 4 : at], "big")
    short = tagged[: at - 4] + (12).to_bytes(4, "big") + tagged[at : at + 8]
    short += (size - 12).to_bytes(4, "big") + b"free" + tagged[at + 16 : at - 4 + size]
    with pytest.raises(PhotoError, match="damaged"):
        read_photo(save(short + tagged[at - 4 + size :], "a.avif"))
    with pytest.raises(PhotoError, match="names no picture"):
        read_photo(save(tagged.replace(b"pitm", b"free"), "a.avif"))


def test_metadata_out_of_all_proportion_is_not_read(image: Any, save: Any) -> None:
    path = save(b"", "a.avif")
    write_photo(Photo(pixels=image.numpy(), metadata=Metadata(xmp=b"<x/>" * 99)), path)
    content = bytearray(path.read_bytes())
    place = content.rindex(len(b"<x/>" * 99).to_bytes(4, "big"), 0, content.index(b"mdat"))
    content[place : place + 4] = (1 << 31).to_bytes(4, "big")
    photo = read_photo(save(bytes(content), "b.avif"))
    assert photo.metadata.xmp is None
    assert photo.notes == ("damaged metadata was left out (XMP)",)


def test_a_video_is_no_avif(image: Any, save: Any) -> None:
    with pytest.raises(PhotoError, match="is a video"):
        read_photo(save(b"\0\0\0\x18ftypisom" + bytes(99), "a.mp4"))


@pytest.mark.parametrize("suffix", [".avif", ".webp"])
def test_resolution_goes_into_exif(image: Any, save: Any, suffix: str) -> None:
    path = save(b"", f"a{suffix}")
    photo = Photo(pixels=image.numpy(), metadata=Metadata(resolution=(11.8, 5.9)))
    assert write_photo(photo, path) == ()
    assert read_photo(path).metadata.resolution == pytest.approx((11.8, 5.9), rel=1e-4)


def test_relatives_are_named(image: Any, save: Any) -> None:
    content = avif(image)
    path = save(content.replace(b"av01", b"vvc1"), "a.avif")
    with pytest.raises(PhotoError, match="holds a picture of kind vvc1"):
        read_photo(path)
    with pytest.raises(PhotoError, match="is animated; extract the frame"):
        read_header(save(content[:8] + b"avis" + content[12:], "a.avif"))


def test_exif_is_hidden_from_the_decoder(image: Any, save: Any) -> None:
    path = save(b"", "a.avif")
    photo = Photo(pixels=image.numpy(), metadata=Metadata(exif=exif_block(t_274=8, t_271=b"A\0")))
    write_photo(photo, path)
    content = path.read_bytes()
    turned = content.replace(exif_block(t_274=1, t_271=b"A\0"), exif_block(t_274=8, t_271=b"A\0"))
    assert turned != content
    # AVIF has its own rotation; EXIF's is not applied, and comes out as what was applied.
    back = read_photo(save(turned, "b.avif"))
    assert back.pixels.shape == (30, 40, 3)
    assert back.metadata.exif == exif_block(t_274=1, t_271=b"A\0")
