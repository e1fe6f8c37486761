from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging.containers.tiff import is_raw
from mirnet.imaging.directories import Directory, Field, Layout, Reader, serialize
from mirnet.imaging.formats import RAW, TIFF, by_content
from mirnet.imaging.io import read_header, read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo

from .conftest import exif_values

LAYOUTS = {"II": Layout("<"), "MM": Layout(">"), "II+": Layout("<", True), "MM+": Layout(">", True)}
HEADERS = {
    "II": b"II*\0" + bytes(4), "MM": b"MM\0*" + bytes(4),
    "II+": b"II+\0\x08\0\0\0" + bytes(8), "MM+": b"MM\0+\0\x08\0\0" + bytes(8),
}  # fmt: skip


def short(*values: int) -> Field:
    return Field(3, len(values), struct.pack(f"<{len(values)}H", *values))


def number(value: int) -> Field:
    return Field(4, 1, struct.pack("<L", value))


def text(value: bytes) -> Field:
    return Field(2, len(value), value)


def tiff(
    pixels: np.ndarray[Any, Any],
    *,
    kind: str = "II",
    children: dict[int, Directory] | None = None,
    **fields: Field,
) -> bytes:
    """A TIFF file written by hand: one strip; fields by t_TAG."""
    layout, head = LAYOUTS[kind], HEADERS[kind]
    height, width, bands = pixels.shape
    data = pixels.astype(pixels.dtype.newbyteorder(layout.order)).tobytes()
    values = {
        256: short(width), 257: short(height), 258: short(*[pixels.itemsize * 8] * bands),
        259: short(1), 262: short(2 if bands > 2 else 1), 277: short(bands), 278: short(height),
        273: Field(4, 1, struct.pack("<L", len(head))),
        279: Field(4, 1, struct.pack("<L", len(data))),
    }  # fmt: skip
    values |= {int(name.removeprefix("t_")): value for name, value in fields.items()}
    start = len(head) + len(data)
    directory = serialize(Directory(values, children or {}), start, layout)
    return head[: layout.start] + struct.pack(layout.offset, start) + data + directory


def picture(bands: int = 3, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    top = 1 if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).max
    return (np.random.default_rng(0).random((12, 14, bands)) * top).astype(dtype)


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_byte_order_and_bigtiff_keep_pixels_and_exif(
    save: Any, kind: str, dtype: Any
) -> None:
    pixels = picture(3, dtype)
    exif = Directory(
        {0x9003: text(b"2020:01:02 03:04:05\0"), 0x829A: Field(5, 1, b"\1\0\0\0\2\0\0\0")}
    )
    floats: Any = {"t_339": short(3, 3, 3)} if dtype == np.float32 else {}
    content = tiff(
        pixels,
        kind=kind,
        children={0x8769: exif},
        t_271=text(b"Acme\0"),
        t_316=text(b"host\0"),
        t_40091=Field(1, 6, b"H\0i\0\0\0"),
        t_33550=Field(12, 3, struct.pack("<3d", 1, 2, 0)),
        **floats,
    )
    photo = read_photo(save(content, "a.tif"))
    assert np.array_equal(photo.pixels, pixels)
    assert photo.notes == ()
    copy = save(b"", "b.tif")
    assert write_photo(photo, copy) == ()
    main = Reader(copy.read_bytes()).main()
    assert main.fields[316] == text(b"host\0")
    assert main.fields[40091].value == b"H\0i\0\0\0"
    assert main.fields[33550].value == struct.pack("<3d", 1, 2, 0)
    assert main.children[0x8769].fields[0x829A].numbers() == (1, 2)
    assert 282 not in main.fields  # no invented resolution
    assert np.array_equal(read_photo(copy).pixels, pixels)
    if dtype != np.float32:
        png = save(b"", "b.png")
        write_photo(photo, png)
        assert exif_values(read_photo(png))["ExposureTime"] == "1/2"


def test_raw_is_told_from_other_tiff() -> None:
    dng = tiff(picture(), t_50706=Field(1, 4, b"\1\4\0\0"))
    thumbnail = tiff(picture(), t_254=short(1), t_330=Field(4, 1, bytes(4)))
    mosaic = tiff(picture(1), t_262=short(32803))
    plain = tiff(picture())
    start = int.from_bytes(plain[4:8], "little")
    canon = plain[:8] + b"CR\2\0" + plain[12:]  # over pixels that nobody reads
    assert start >= 12
    for content in (dng, thumbnail, mosaic, canon):
        assert is_raw(content)
        assert by_content(content) is RAW
    for content in (tiff(picture()), tiff(picture(), t_254=short(1)), b"II*\0"):
        assert not is_raw(content)
        assert by_content(content) is TIFF


@pytest.mark.parametrize(("code", "name"), [(50000, "Zstandard"), (34925, "LZMA"), (34887, "LERC")])
def test_compressions_without_a_decoder_are_named(save: Any, code: int, name: str) -> None:
    with pytest.raises(PhotoError, match=f"is compressed with {name}, which mirnet can't read"):
        read_photo(save(tiff(picture(), t_259=short(code)), "a.tif"))


@pytest.mark.parametrize("kind", [None, 0])
def test_a_sample_that_is_not_said_to_be_alpha_is_refused(save: Any, kind: int | None) -> None:
    extra: Any = {} if kind is None else {"t_338": short(kind)}
    with pytest.raises(PhotoError, match="isn't said to be alpha"):
        read_photo(save(tiff(picture(4), **extra), "a.tif"))
    assert read_photo(save(tiff(picture(4), t_338=short(2)), "b.tif")).alpha is not None


def test_associated_alpha_comes_out_with_the_same_look(save: Any) -> None:
    pixels = np.full((6, 6, 4), 200, np.uint8)
    pixels[:, :, 3] = np.arange(36).reshape(6, 6) * 7 + 10
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    photo = read_photo(save(image.tiffsave_buffer(premultiply=True), "a.tif"))
    assert photo.alpha is not None
    # Rounding a product and dividing again costs up to half a level over alpha.
    error = np.abs(photo.pixels.astype(float) - 200) * photo.alpha[:, :, None] / 255
    assert error.max() <= 1.5


def test_thumbnails_behind_the_photo_are_no_pages(save: Any) -> None:
    content = tiff(picture())
    layout, start = LAYOUTS["II"], struct.unpack_from("<L", tiff(picture()), 4)[0]
    following = start + 2 + 12 * 9
    for subfile, pages in ((1, 1), (0, 2)):
        second = serialize(Directory({254: Field(4, 1, struct.pack("<L", subfile))}), len(content))
        linked = content[:following] + struct.pack(layout.offset, len(content))
        path = save(linked + content[following + 4 :] + second, f"{pages}.tif")
        if pages == 1:
            assert np.array_equal(read_photo(path).pixels, picture())
        else:
            with pytest.raises(PhotoError, match="holds several pages"):
                read_photo(path)


@pytest.mark.parametrize("thumbnail", [False, True])
def test_two_pages_are_two_views(save: Any, thumbnail: bool) -> None:
    """The second page of a file that another one is appended to, with a thumbnail between."""
    left, right = tiff(picture()), tiff(picture()[::-1])
    shift = len(left) + len(left) % 2
    start = struct.unpack_from("<L", left, 4)[0]
    link, place = start + 2 + 12 * 9, struct.unpack_from("<L", right, 4)[0]
    directory = Reader(right).main()
    offsets = number(directory.fields[273].numbers()[0] + shift)
    moved = Directory(directory.fields | {273: offsets})
    content = left.ljust(shift, b"\0") + right[:place]
    content += bytes(len(content) % 2)
    pages = [moved]
    if thumbnail:
        pages.insert(0, Directory({254: number(1)}))
    for page in pages:
        content = content[:link] + struct.pack("<L", len(content)) + content[link + 4 :]
        link = len(content) + 2 + 12 * len(page.fields)
        content += serialize(page, len(content))
    path = save(content, "views.tif")
    assert np.array_equal(read_photo(path, view=0).pixels, picture())
    assert np.array_equal(read_photo(path, view=1).pixels, picture()[::-1])
    assert read_header(path, view=1) == read_photo(path, view=1).header
    with pytest.raises(PhotoError, match="holds several pages"):
        read_photo(path)


def test_many_pages_are_many_pages(save: Any) -> None:
    content = tiff(picture())
    start = struct.unpack_from("<L", content, 4)[0]
    link = start + 2 + 12 * 9
    for _ in range(40):
        page = serialize(Directory({254: number(0)}), len(content))
        content = content[:link] + struct.pack("<L", len(content)) + content[link + 4 :] + page
        link = len(content) - 4
    with pytest.raises(PhotoError, match="holds several pages"):
        read_photo(save(content, "a.tif"))
    with pytest.raises(PhotoError, match="holds several pages"):
        read_photo(save(content, "a.tif"), view=1)


def test_layers_are_left_out_with_a_word_however_large(save: Any) -> None:
    for size in (1000, 70 << 20):
        photo = read_photo(save(tiff(picture(), t_37724=Field(7, size, bytes(size))), "a.tif"))
        assert photo.notes == ("Photoshop's layers were left out",)


def test_types_of_bigtiff_are_narrowed_for_exif(save: Any) -> None:
    wide = Field(16, 1, struct.pack("<Q", 7))
    beyond = Field(16, 1, struct.pack("<Q", 1 << 40))
    photo = read_photo(save(tiff(picture(), kind="II+", t_60000=wide, t_60001=beyond), "a.tif"))
    assert photo.metadata.exif is not None
    assert Reader(photo.metadata.exif).main().fields == {60000: number(7)}
    assert photo.notes == ("damaged metadata was left out (tag 60001)",)


def test_a_header_is_read_without_the_pixels(save: Any) -> None:
    for kind in LAYOUTS:
        path = save(tiff(picture(3, np.uint16), kind=kind), "a.tif")
        header = read_header(path)
        assert (header.height, header.width, header.depth) == (12, 14, "16")


def test_a_large_private_field_is_left_out_with_a_word(save: Any) -> None:
    private = Field(1, 30 << 20, bytes(30 << 20))
    photo = read_photo(save(tiff(picture(), t_60000=private, t_271=text(b"Acme\0")), "a.tif"))
    assert np.array_equal(photo.pixels, picture())
    assert photo.notes == ("private fields of more than 1 MiB were left out (tag 60000: 30 MiB)",)
    assert b"Acme" in (photo.metadata.exif or b"")


def test_a_large_compressed_strip_is_read(save: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 9000, 3), np.uint8)
    data = zlib.compress(pixels.tobytes(), 0)
    content = tiff(picture(), t_256=short(9000), t_257=short(3000), t_278=short(3000),
                   t_259=short(8), t_273=number(1 << 20), t_279=number(len(data)))  # fmt: skip
    photo = read_photo(save(content.ljust(1 << 20, b"\0") + data, "a.tif"))
    assert np.array_equal(photo.pixels, pixels)


def test_one_bad_field_costs_only_itself(save: Any) -> None:
    content = bytearray(tiff(picture(), t_271=text(b"Acme & Sons\0"), t_315=text(b"Somebody\0")))
    entry = content.index(struct.pack("<HHL", 271, 2, 12)) + 8
    content[entry : entry + 4] = struct.pack("<L", 1 << 30)
    photo = read_photo(save(bytes(content), "a.tif"))
    assert photo.notes == ("damaged metadata was left out (tag 271)",)
    assert b"Somebody" in (photo.metadata.exif or b"")


def test_a_directory_out_of_order_is_no_damage(save: Any) -> None:
    content = tiff(picture(), t_271=text(b"a\0"), t_315=text(b"b\0"))
    start = struct.unpack_from("<L", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    entries = [content[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    end = start + 2 + 12 * count
    shuffled = content[: start + 2] + b"".join(reversed(entries)) + content[end:]
    photo = read_photo(save(shuffled, "a.tif"))
    assert np.array_equal(photo.pixels, picture())
    assert photo.notes == ()


@pytest.mark.parametrize("tile", [False, True])
def test_a_file_cut_in_its_pixels_is_refused_or_told(save: Any, tile: bool) -> None:
    # Strips of four rows, or four tiles of 16×16 pixels, with the directory in front.
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    size = 16 * 16 * 3 if tile else 4 * 32 * 3
    starts = range(1024, 1024 + pixels.nbytes, size)
    places: Any = {
        324 if tile else 273: Field(4, len(starts), struct.pack(f"<{len(starts)}L", *starts)),
        325 if tile else 279: Field(4, len(starts), struct.pack("<L", size) * len(starts)),
        **({322: short(16), 323: short(16)} if tile else {278: short(4)}),
    }
    content = tiff(pixels, **{f"t_{tag}": field for tag, field in places.items()})
    directory = Reader(content).main()
    if tile:
        for tag in (273, 278, 279):
            del directory.fields[tag]
    head = b"II*\0" + struct.pack("<L", 8) + serialize(directory, 8)
    blocks = pixels.reshape(2, 16, 2, 16, 3).swapaxes(1, 2) if tile else pixels
    whole = head.ljust(1024, b"\0") + blocks.tobytes()
    assert np.array_equal(read_photo(save(whole, "whole.tif")).pixels, pixels)
    cut = save(whole[:-1500], "cut.tif")
    with pytest.raises(PhotoError, match="lie beyond its end"):
        read_photo(cut)
    left = read_photo(cut, allow_damaged=True)
    assert "what could be decoded was restored" in left.notes[0]
    assert np.array_equal(left.pixels[:16], pixels[:16])


def test_a_float_alpha_must_be_finite(save: Any) -> None:
    pixels = picture(4, np.float32)
    pixels[0, 0, 3] = np.nan
    content = tiff(pixels, t_338=short(2), t_339=short(3, 3, 3, 3))
    with pytest.raises(PhotoError, match="NaN"):
        read_photo(save(content, "a.tif"))


def test_texts_can_t_be_held(save: Any) -> None:
    photo = Photo(pixels=picture(), metadata=Metadata(texts=(("Title", "x"),)))
    assert write_photo(photo, save(b"", "a.tif")) == (
        "the text Title can't be held by TIFF; left out",
    )


def test_lab_is_refused_for_what_it_is(save: Any) -> None:
    for kind in (8, 9, 10):
        with pytest.raises(PhotoError, match="is in LAB colour; convert it to RGB"):
            read_photo(save(tiff(picture(), t_262=short(kind)), "a.tif"))


def test_colours_that_would_be_taken_for_others_are_refused(save: Any) -> None:
    faults = {
        "YCbCr without JPEG compression": tiff(picture(), t_262=short(6)),
        "floats of which 0 is white": tiff(picture(1, np.float32), t_262=short(0), t_339=short(3)),
        "tiles of each colour apart": tiff(picture(), t_284=short(2), t_322=short(16)),
    }
    for words, content in faults.items():
        with pytest.raises(PhotoError, match=words):
            read_photo(save(content, "a.tif"))


@pytest.mark.parametrize("suffix", [".webp", ".avif", ".png", ".jpg"])
def test_a_resolution_beside_an_exif_reaches_every_format(save: Any, suffix: str) -> None:
    rational = Field(5, 1, struct.pack("<LL", 300, 1))
    content = tiff(
        picture(3), t_271=text(b"Acme\0"), t_282=rational, t_283=rational, t_296=short(2)
    )
    copy = save(b"", f"b{suffix}")
    write_photo(read_photo(save(content, "a.tif")), copy)
    again = read_photo(copy)
    assert again.metadata.resolution == pytest.approx((300 / 25.4, 300 / 25.4), rel=1e-3)
    assert b"Acme" in (again.metadata.exif or b"")
