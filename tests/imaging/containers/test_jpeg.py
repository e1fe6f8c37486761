from __future__ import annotations

import hashlib
import struct
from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo

from .conftest import exif_block, exif_values, segment, with_segments

RDF = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{}</rdf:RDF></x:xmpmeta>'
)
TITLE = '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="here"/>'


def jpeg(image: Any, **options: Any) -> bytes:
    return bytes(image.jpegsave_buffer(keep="none", **options))


def photo(**metadata: Any) -> Photo:
    return Photo(pixels=np.full((8, 9, 3), 90, np.uint8), metadata=Metadata(**metadata))


def test_kinds_without_a_decoder_are_refused_for_what_they_are(image: Any, save: Any) -> None:
    sound = jpeg(image)
    at = sound.index(b"\xff\xc0")
    kinds = {
        "lossless JPEG": sound[: at + 1] + b"\xc3" + sound[at + 2 :],
        "hierarchical JPEG": sound[: at + 1] + b"\xc5" + sound[at + 2 :],
        "JPEG of 12 bits": sound[: at + 4] + b"\x0c" + sound[at + 5 :],
    }
    for reason, content in kinds.items():
        with pytest.raises(PhotoError, match=f"is a {reason}, which mirnet can't read"):
            read_photo(save(content, "a.jpg"))


def test_without_metadata_there_is_none_in_the_copy(image: Any, save: Any) -> None:
    original = read_photo(save(jpeg(image), "a.jpg"))
    assert original.metadata == Metadata()
    copy = save(b"", "b.jpg")
    write_photo(original, copy)
    assert b"Exif" not in copy.read_bytes()
    assert copy.read_bytes()[6:18] == b"JFIF\0\1\1\0\0\1\0\1"  # no unit, 1:1


def test_exif_is_kept_byte_by_byte(image: Any, save: Any) -> None:
    block = exif_block(t_271=b"Acme\0", t_40091=b"H\0i\0\0\0", t_60000=b"private\0")
    path = save(with_segments(jpeg(image), segment(0xE1, b"Exif\0\0" + block)), "a.jpg")
    copy = path.with_name("b.jpg")
    write_photo(read_photo(path), copy)
    assert block in copy.read_bytes()


def test_the_thumbnail_goes_and_sizes_follow_the_pixels(image: Any, save: Any) -> None:
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    for name, value in {
        "exif-ifd2-PixelXDimension": "40",
        "exif-ifd2-PixelYDimension": "30",
        "exif-ifd0-Make": "Acme",
    }.items():
        image.set_type(pyvips.GValue.gstr_type, name, value)
    image.set_type(pyvips.GValue.blob_type, "jpeg-thumbnail-data", jpeg(image))
    path = save(image.jpegsave_buffer(), "a.jpg")
    assert path.read_bytes().count(b"\xff\xd8\xff") == 2
    copy = path.with_name("b.jpg")
    write_photo(read_photo(path), copy)
    assert copy.read_bytes().count(b"\xff\xd8\xff") == 1
    values = exif_values(read_photo(copy))
    assert (values["PixelXDimension"], values["PixelYDimension"]) == ("30", "40")
    assert (values["Orientation"], values["Make"]) == ("1", "Acme")


def test_large_xmp_goes_into_an_extension_and_comes_back(save: Any) -> None:
    packet = RDF.format(TITLE + f"<!--{'x' * 200_000}-->").encode()
    path = save(b"", "a.jpg")
    assert write_photo(photo(xmp=packet), path) == ()
    digest = hashlib.md5(packet).hexdigest().upper().encode()
    assert path.read_bytes().count(digest) == 5  # the packet that points, and four pieces
    back = read_photo(path).metadata.xmp or b""
    assert b'dc:source="here"' in back
    assert b"x" * 200_000 in back
    assert b"HasExtendedXMP" not in back


def test_an_extension_of_another_packet_is_not_taken(image: Any, save: Any) -> None:
    packet = RDF.format(TITLE).encode()
    extension = b"0" * 32 + struct.pack(">LL", len(packet), 0) + packet
    content = with_segments(
        jpeg(image),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet),
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + extension),
    )
    assert read_photo(save(content, "a.jpg")).metadata.xmp == packet


def test_a_large_profile_goes_in_pieces_and_a_missing_one_is_said(save: Any) -> None:
    profile = bytes(16) + b"RGB " + np.random.default_rng(0).bytes(150_000)
    path = save(b"", "a.jpg")
    write_photo(photo(icc=profile), path)
    assert read_photo(path).metadata.icc == profile
    content = path.read_bytes()
    second = content.index(b"ICC_PROFILE\0\2") - 4
    third = content.index(b"ICC_PROFILE\0\3") - 4
    cut = read_photo(save(content[:second] + content[third:], "b.jpg"))
    assert cut.metadata.icc is None
    assert "colour profile with a piece missing" in cut.notes[0]


def test_what_does_not_fit_in_a_segment_is_said(save: Any) -> None:
    block = exif_block(t_37500=bytes(70_000))
    notes = write_photo(photo(exif=block, iptc=bytes(70_000)), save(b"", "a.jpg"))
    assert notes == (
        "EXIF of more than 64 kB can't be held by JPEG; left out",
        "IPTC of more than 64 kB can't be held by JPEG; left out",
    )


def test_a_motion_photo_s_xmp_is_dropped_with_its_video(image: Any, save: Any) -> None:
    motion = (
        '<rdf:Description xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" GCamera:MotionPhoto="1" dc:source="here"/>'
    )
    packet = RDF.format(motion).encode()
    marked = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)
    found = read_photo(save(with_segments(jpeg(image), marked) + b"video" * 99, "a.jpg"))
    assert b"MotionPhoto" not in (found.metadata.xmp or b"")
    assert b'dc:source="here"' in (found.metadata.xmp or b"")
    assert found.notes == ("what the file holds beside the photo was left out (video)",)


def test_an_odd_header_does_not_hide_damage(image: Any, save: Any) -> None:
    odd = segment(0xE0, b"JFIF\0\2\1\0\0\1\0\1\0\0")
    sound = with_segments(jpeg(image, Q=95), odd)
    assert read_photo(save(sound, "a.jpg")).notes == ()
    with pytest.raises(PhotoError, match="premature end"):
        read_photo(save(sound[:-60] + b"\xff\xd9", "b.jpg"))


def test_comments_are_kept_all_in_any_encoding(image: Any, save: Any) -> None:
    comments = [segment(0xFE, "Früh".encode("latin-1")), segment(0xFE, "Käse".encode())]
    photo = read_photo(save(with_segments(jpeg(image), *comments), "a.jpg"))
    assert photo.metadata.texts == (("Comment", "Früh"), ("Comment", "Käse"))
    copy = save(b"", "b.jpg")
    assert write_photo(photo, copy) == ()
    assert read_photo(copy).metadata.texts == photo.metadata.texts


def test_previews_behind_the_photo_are_named(image: Any, save: Any) -> None:
    content = with_segments(jpeg(image), segment(0xE2, b"MPF\0" + bytes(40))) + jpeg(image)
    assert "MPF" in read_photo(save(content, "a.jpg")).notes[0]


def test_a_profile_too_large_for_jpeg_is_named(save: Any) -> None:
    profile = bytes(16) + b"RGB " + bytes(17 << 20)
    notes = write_photo(photo(icc=profile), save(b"", "a.jpg"))
    assert notes == ("a colour profile of more than 16 MB can't be held by JPEG; left out",)


@pytest.mark.parametrize("unit", ["inch", "cm"])
def test_resolution_is_kept_exactly_in_whole_numbers(save: Any, unit: str) -> None:
    resolution = (300 / 25.4, 240 / 25.4) if unit == "inch" else (11.8, 10.0)
    path = save(b"", "a.jpg")
    write_photo(photo(resolution=resolution), path)
    assert read_photo(path).metadata.resolution == pytest.approx(resolution, rel=1e-12)
