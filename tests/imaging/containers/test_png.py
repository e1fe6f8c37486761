from __future__ import annotations

import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging.icc import SRGB, rgb_profile
from mirnet.imaging.io import read_header, read_photo, write_photo

from .conftest import chunk, exif_block, with_chunks


def png(image: Any) -> bytes:
    return bytes(image.pngsave_buffer(keep="none"))


def test_hdr_and_linear_light_are_refused_for_what_they_are(image: Any, save: Any) -> None:
    cases = {
        "PQ": chunk(b"cICP", bytes([9, 16, 0, 1])),
        "HLG": chunk(b"cICP", bytes([9, 18, 0, 1])),
        "linear": chunk(b"cICP", bytes([1, 8, 0, 1])),
        "gAMA 1": chunk(b"gAMA", struct.pack(">L", 100_000)),
    }
    for reason, added in cases.items():
        path = save(with_chunks(png(image), added), "a.png")
        for read in (read_photo, read_header):
            with pytest.raises(PhotoError, match=reason):
                read(path)


@pytest.mark.parametrize(
    "added",
    [
        [chunk(b"cICP", bytes([1, 13, 0, 1]))],
        [chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">L", 90_000))],
        [chunk(b"gAMA", struct.pack(">L", 45_455))],
    ],
)
def test_srgb_by_any_name_needs_no_profile(image: Any, save: Any, added: list[bytes]) -> None:
    assert read_photo(save(with_chunks(png(image), *added), "a.png")).metadata.icc is None


def test_colours_that_are_named_by_numbers_become_a_profile(image: Any, save: Any) -> None:
    p3 = [31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000]
    by_numbers = chunk(b"cICP", bytes([12, 13, 0, 1]))
    by_chromaticities = chunk(b"cHRM", struct.pack(">8L", *p3))
    looks = []
    for added in (by_numbers, by_chromaticities):
        path = save(with_chunks(png(image), added), "a.png")
        photo = read_photo(path)
        assert photo.metadata.profile_channels == 3
        seen = image.copy()
        seen.set_type(pyvips.GValue.blob_type, "icc-profile-data", photo.metadata.icc)
        looks.append(seen.icc_transform("srgb", embedded=True).numpy())
    assert np.array_equal(*looks)
    expected = image.icc_transform("srgb", input_profile="p3").numpy()
    assert np.abs(looks[0].astype(int) - expected).max() <= 4


def test_the_gamma_of_grey_becomes_a_grey_profile(image: Any, save: Any) -> None:
    grey = png(image.colourspace("b-w"))
    photo = read_photo(save(with_chunks(grey, chunk(b"gAMA", struct.pack(">L", 55_556))), "a.png"))
    assert photo.is_grey
    assert photo.metadata.profile_channels == 1


def test_texts_are_carried_and_a_jpeg_says_what_it_can_not_hold(image: Any, save: Any) -> None:
    content = with_chunks(
        png(image),
        chunk(b"tEXt", b"Title\0A title"),
        chunk(b"zTXt", b"Software\0\0" + zlib.compress(b"old")),
        chunk(b"iTXt", b"Title\0\0\0de\0Titel\0" + "Ein Käse".encode()),
        chunk(b"tEXt", b"Comment\0hello"),
    )
    photo = read_photo(save(content, "a.png"))
    texts = (("Title", "A title"), ("Software", "old"), ("Title", "Ein Käse"), ("Comment", "hello"))
    assert photo.metadata.texts == texts
    copy = save(b"", "b.png")
    assert write_photo(photo, copy) == ()
    assert read_photo(copy).metadata.texts == texts
    notes = write_photo(photo, copy.with_suffix(".jpg"))
    assert len(notes) == 3
    assert all("can't be held by JPEG" in note for note in notes)
    assert read_photo(copy.with_suffix(".jpg")).metadata.texts == (("Comment", "hello"),)


def test_iptc_of_other_writers_is_found(image: Any, save: Any) -> None:
    records = b"\x1c\x02\x19\x00\x02kw"
    block = b"8BIM\x04\x04\0\0" + struct.pack(">L", len(records)) + records
    text = f"\nIPTC profile\n{len(block):8}\n{block.hex()}\n".encode()
    added = chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text))
    photo = read_photo(save(with_chunks(png(image), added), "a.png"))
    assert photo.metadata.iptc == records
    copy = save(b"", "b.png")
    write_photo(photo, copy)
    assert read_photo(copy).metadata.iptc == records


def test_exif_after_the_pixels_still_turns_the_photo(image: Any, save: Any) -> None:
    whole = png(image)
    path = save(whole[:-12] + chunk(b"eXIf", exif_block(t_274=6)) + whole[-12:], "a.png")
    assert (read_header(path).height, read_header(path).width) == (40, 30)
    assert read_photo(path).pixels.shape == (40, 30, 3)


def test_odd_colours_are_refused_in_one_line(image: Any, save: Any) -> None:
    narrow = chunk(b"cICP", bytes([1, 13, 0, 0]))
    odd = chunk(b"cHRM", struct.pack(">8L", 1447, 44969, 7828, 126, 28, 6, 363, 13))
    for added in (narrow, odd):
        with pytest.raises(PhotoError, match=r"narrow range|makes no sense"):
            read_photo(save(with_chunks(png(image), added), "a.png"))


def test_texts_have_one_budget_for_the_whole_file(image: Any, save: Any) -> None:
    bomb = [chunk(b"zTXt", b"k%d\0\0" % i + zlib.compress(bytes(15 << 20))) for i in range(20)]
    start = time.process_time()
    photo = read_photo(save(with_chunks(png(image), *bomb), "a.png"))
    assert len(photo.metadata.texts) == 1
    assert photo.notes == ("damaged metadata was left out (zTXt)",)
    copy = save(b"", "b.png")
    write_photo(photo, copy)
    assert copy.stat().st_size < 1 << 17
    assert time.process_time() - start < 2


@pytest.mark.parametrize("name", ["icc", "icm", "APP1", "exif"])
def test_raw_profiles_of_imagemagick_are_what_they_are(image: Any, save: Any, name: str) -> None:
    block = {"icc": rgb_profile(SRGB, (2.2,), "x"), "APP1": b"Exif\0\0" + exif_block(t_271=b"A\0")}
    content = block["APP1" if name in ("APP1", "exif") else "icc"]
    text = f"\n{name}\n{len(content):8}\n{content.hex()}\n".encode()
    added = chunk(b"zTXt", f"Raw profile type {name}".encode() + b"\0\0" + zlib.compress(text))
    metadata = read_photo(save(with_chunks(png(image), added), "a.png")).metadata
    assert (metadata.icc or metadata.exif) == content.removeprefix(b"Exif\0\0")
    assert metadata.texts == ()


def test_an_unknown_raw_profile_stays_a_text(image: Any, save: Any) -> None:
    added = chunk(b"tEXt", b"Raw profile type zip\0\nzip\n 2\nabcd\n")
    photo = read_photo(save(with_chunks(png(image), added), "a.png"))
    assert [keyword for keyword, _ in photo.metadata.texts] == ["Raw profile type zip"]


def test_damaged_metadata_is_left_out_with_a_word(image: Any, save: Any) -> None:
    broken = bytearray(chunk(b"eXIf", exif_block(t_271=b"Acme\0")))
    broken[12] ^= 1
    bomb = chunk(b"zTXt", b"Big\0\0" + zlib.compress(bytes(40 << 20)))
    photo = read_photo(save(with_chunks(png(image), bytes(broken), bomb), "a.png"))
    assert photo.metadata.exif is None
    assert photo.notes == ("damaged metadata was left out (eXIf, zTXt)",)
