from __future__ import annotations

import importlib.util
import io
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import rawpy
from numpy.typing import NDArray

from mirnet.errors import DamagedPhotoError, MissingDependencyError, PhotoError
from mirnet.imaging import decoding, opening
from mirnet.imaging.apart import process
from mirnet.imaging.containers.raw import inspect
from mirnet.imaging.directories import Directory, Field, serialize
from mirnet.imaging.exif import from_directory, main_directory
from mirnet.imaging.io import read_header, read_photo, write_photo, written_suffix
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo

from .dngs import dng, fractions, numbers, text

EXIF = Directory({33434: fractions((0.01,)), 0xA001: numbers(3, 2)})


@pytest.fixture
def light() -> NDArray[np.float64]:
    """Smooth linear light of 64×48 without any symmetry."""
    rows, columns = np.meshgrid(np.linspace(0, 1, 48), np.linspace(0, 1, 64), indexing="ij")
    planes = (0.05 + 0.5 * rows * columns, 0.02 + 0.3 * columns, 0.4 - 0.3 * rows)
    return np.stack(planes, axis=2)


def as_seen(light: NDArray[Any]) -> NDArray[Any]:
    """Linear light in sRGB's curve, 0 to 65535."""
    curved = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    values: NDArray[Any] = curved * 65535
    return values


def by_libraw(content: bytes) -> NDArray[Any]:
    """What rawpy develops when it is asked in its own words."""
    with rawpy.imread(io.BytesIO(content)) as raw:
        pixels: NDArray[Any] = raw.postprocess(
            demosaic_algorithm=rawpy.DemosaicAlgorithm.DHT, use_camera_wb=True, output_bps=16,
            gamma=(2.4, 12.92), no_auto_bright=True, adjust_maximum_thr=0,
        )  # fmt: skip
    return pixels


@pytest.mark.parametrize(
    ("pattern", "bits", "black", "white", "neutral"),
    [
        ("RGGB", 16, 0, None, (1.0, 1.0, 1.0)),
        ("BGGR", 14, 512, 15871, (0.5, 1.0, 0.7)),
        ("GRBG", 12, 64, 4000, (0.8, 1.0, 0.4)),
        ("GBRG", 10, 0, 1000, (0.6, 1.0, 0.6)),
    ],
)
def test_the_sensor_s_values_become_the_light_that_it_saw(
    light: NDArray[Any],
    save: Any,
    pattern: str,
    bits: int,
    black: int,
    white: int | None,
    neutral: Sequence[float],
) -> None:
    content = dng(light, pattern=pattern, bits=bits, black=black, white=white, neutral=neutral)
    path = save(content, "a.dng")
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, by_libraw(content))
    inner = slice(3, -3), slice(3, -3)
    error = np.abs(photo.pixels[inner] - as_seen(light)[inner])
    assert error.max() < 65535 * (0.02 if bits == 10 else 0.008)
    assert read_header(path) == photo.header
    assert photo.depth == "16"
    assert photo.metadata.is_srgb


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_once(light: NDArray[Any], save: Any, orientation: int) -> None:
    path = save(dng(light, orientation=orientation), "a.dng")
    seen = as_seen(light)
    expected = {
        1: seen, 2: seen[:, ::-1], 3: seen[::-1, ::-1], 4: seen[::-1], 5: seen.swapaxes(0, 1),
        6: np.rot90(seen, -1), 7: seen[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(seen, 1),
    }[orientation]  # fmt: skip
    photo = read_photo(path)
    assert photo.pixels.shape == expected.shape
    assert read_header(path) == photo.header
    assert np.abs(photo.pixels - expected).mean() < 100
    assert main_directory(photo.metadata.exif).fields[274] == numbers(3, 1)


def test_the_active_area_is_what_is_taken(light: NDArray[Any], save: Any) -> None:
    path = save(dng(light, more={50829: numbers(4, 4, 6, 44, 60)}), "a.dng")
    photo = read_photo(path)
    expected = as_seen(light)[4:44, 6:60]
    assert photo.pixels.shape == expected.shape
    assert read_header(path) == photo.header
    assert np.abs(photo.pixels - expected)[3:-3, 3:-3].max() < 65535 * 0.008


def test_exposure_does_not_depend_on_the_content(light: NDArray[Any], save: Any) -> None:
    for factor in (0.2, 0.8, 1.6):
        photo = read_photo(save(dng(np.clip(light * factor, 0, 1)), "a.dng"))
        expected = as_seen(np.clip(light * factor, 0, 1))
        assert np.abs(photo.pixels - expected)[3:-3, 3:-3].mean() < 65535 * 0.002
    # What is brighter than white in one colour is cut, and not turned pink.
    bright = read_photo(save(dng(np.full((48, 64, 3), 2.0), neutral=(0.5, 1.0, 0.7)), "b.dng"))
    assert bright.pixels.min() == 65535


def test_exif_that_belongs_to_the_photo_is_kept(light: NDArray[Any], save: Any) -> None:
    private = {50741: numbers(1, 1), 700: text("<x/>"), 33432: text("somebody")}
    path = save(dng(light, more=private, children={0x8769: EXIF}), "a.dng")
    photo = read_photo(path)
    main = main_directory(photo.metadata.exif)
    assert set(main.fields) == {271, 272, 274, 33432}
    assert main.children[0x8769].fields == EXIF.fields | {0xA001: numbers(3, 1)}
    assert photo.metadata.xmp is None
    assert photo.notes == ("XMP was left out: it may tell of another development",)
    copy = save(b"", "b.tif")
    write_photo(photo, copy)
    back = read_photo(copy)  # which would be RAW if it said so
    assert np.array_equal(back.pixels, photo.pixels)
    assert main_directory(back.metadata.exif).children[0x8769].fields[33434] == EXIF.fields[33434]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">L4s", len(content) + 8, kind) + content


def structure(directory: Directory) -> bytes:
    return b"II*\0" + struct.pack("<L", 8) + serialize(directory, 8)


def test_exif_is_found_in_other_makers_files(save: Any) -> None:
    main = Directory({271: text("Acme"), 0x2E: numbers(1, *range(9))}, {0x8769: EXIF})
    camera = from_directory(Directory({271: text("Acme")}, {0x8769: EXIF}))
    wanted = from_directory(
        Directory({271: text("Acme")}, {0x8769: Directory(EXIF.fields | {0xA001: numbers(3, 1)})})
    )
    jpeg = save(b"", "a.jpg")
    photo = Photo(pixels=np.zeros((8, 8, 3), np.uint8), metadata=Metadata(exif=camera))
    write_photo(photo, jpeg)
    size = len(jpeg.read_bytes())
    fujifilm = b"FUJIFILMCCD-RAW ".ljust(84, b"0") + struct.pack(">LL", 92, size)
    boxes = box(b"CMT1", structure(Directory({271: text("Acme")}))) + box(b"CMT2", structure(EXIF))
    uuid = box(b"uuid", CANON + boxes)
    inside = Field(7, size, jpeg.read_bytes())
    with_jpeg = Directory({271: text("Other"), 46: inside}, {0x8825: GPS})
    files = {
        "olympus": b"IIRO" + structure(main)[4:],
        "panasonic": b"IIU\0" + structure(main)[4:],
        "panasonic with a JPEG": b"IIU\0" + structure(with_jpeg)[4:],
        "fujifilm": fujifilm + jpeg.read_bytes(),
        "canon": box(b"ftyp", b"crx " + bytes(8)) + box(b"moov", uuid),
    }
    for name, content in files.items():
        found = inspect(content)
        assert found.metadata.exif == wanted, name
        assert found.notes == (), name


CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")


def test_what_else_canon_and_fujifilm_have_is_carried_or_named(save: Any) -> None:
    boxes = box(b"CMT1", structure(Directory({271: text("Acme")})))
    boxes += box(b"CMT3", structure(EXIF)) + box(b"CMT4", structure(GPS))
    packet = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + b"<x:xmpmeta/>"
    head = box(b"ftyp", b"crx " + bytes(8)) + box(b"moov", box(b"uuid", CANON + boxes))
    found = inspect(head + box(b"uuid", packet))
    assert main_directory(found.metadata.exif).children[0x8825].fields == GPS.fields
    xmp = "XMP was left out: it may tell of another development"
    assert found.notes == (xmp, "maker notes were left out: CR3 has them apart from EXIF")

    jpeg = save(b"", "a.jpg")
    block = from_directory(Directory({271: text("Acme")}, {0x8825: GPS}))
    iptc = b"\x1c\2\5\0\4name"
    metadata = Metadata(exif=block, xmp=b"<x:xmpmeta/>", iptc=iptc)
    write_photo(Photo(pixels=np.zeros((8, 8, 3), np.uint8), metadata=metadata), jpeg)
    head = b"FUJIFILMCCD-RAW ".ljust(84, b"0") + struct.pack(">LL", 92, jpeg.stat().st_size)
    found = inspect(head + jpeg.read_bytes())
    assert main_directory(found.metadata.exif).children[0x8825].fields == GPS.fields
    assert found.metadata.iptc == iptc
    assert found.metadata.xmp is None
    assert found.notes == (xmp,)


GPS = Directory({1: text("N"), 2: fractions((47.0, 22.0, 5.0))})


def test_what_tells_of_the_photo_is_carried_wherever_it_stands(
    light: NDArray[Any], save: Any
) -> None:
    taken = {
        33434: fractions((0.01,)),
        33437: fractions((2.8,)),
        36867: text("2026:01:02 03:04:05"),
    }
    rated = {
        18246: numbers(3, 4),
        40091: Field(1, 4, b"a\0\0\0"),
        33723: Field(7, 9, b"\x1c\2\5\0\4name"),
    }
    adobe = Directory({1: text("R03")})
    inner = Directory({33437: fractions((4.0,)), 37500: numbers(1, *range(9))}, {0xA005: adobe})
    path = save(dng(light, more=taken | rated, children={0x8769: inner, 0x8825: GPS}), "a.dng")
    photo = read_photo(path)
    main = main_directory(photo.metadata.exif)
    assert set(main.fields) == {271, 272, 274, 18246, 40091}
    assert main.children[0x8825].fields == GPS.fields
    # EXIF's own directory has the last word, and none of Adobe RGB's.
    expected = taken | inner.fields | {0xA001: numbers(3, 1)}
    assert main.children[0x8769] == Directory(expected)
    assert photo.metadata.iptc == rated[33723].value
    assert photo.notes == ()


def test_what_is_too_large_or_damaged_is_named(light: NDArray[Any], save: Any) -> None:
    huge = Field(7, (1 << 20) + 2, bytes((1 << 20) + 2))
    inner = Directory({37500: huge, 33434: fractions((0.01,))})
    content = dng(light, children={0x8769: inner}, more={700: huge, 50740: huge})
    assert inspect(content).notes == (
        "XMP was left out: it may tell of another development",
        "private fields of more than 1 MiB were left out (tag 37500: 1 MiB)",
        "DNG's private data, which may hold maker notes, were left out",
    )
    content = dng(light, more={33432: text("somebody"), 50740: numbers(1, *range(99))})
    for tag in (33432, 50740):  # the latter is none of the photo's
        at = content.index(struct.pack("<H", tag), 8) + 8
        content = content[:at] + b"\xff\xff\xff\x7f" + content[at + 4 :]
    assert inspect(content).notes == ("damaged metadata was left out (tag 33432)",)


def test_exif_that_is_not_found_is_named() -> None:
    for content in (b"FOVb" + bytes(99), b"FUJIFILMCCD-RAW", box(b"ftyp", b"crx " + bytes(8))):
        assert inspect(content).notes == ("EXIF was not found in this kind of RAW; left out",)


@pytest.mark.parametrize(
    "head", [b"FUJIFILMCCD-RAW ", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM"]
)
def test_what_only_begins_like_raw_is_one_line(save: Any, head: bytes) -> None:
    path = save(head + bytes(200), "a.raf")
    for read in (read_header, read_photo):
        with pytest.raises(PhotoError, match="can't be decoded") as refused:
            read(path)
        assert str(refused.value).isprintable()
        assert "of a camera or compression that LibRaw doesn't know" in str(refused.value)
        assert str(refused.value).endswith("get a fresh copy, or develop it to TIFF first")


@pytest.mark.parametrize("aspect", [(1, 2), (2, 1), (3, 4), (100, 101), (101, 100), (1.004, 1)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_pixels_that_aren_t_square_are_made_so(
    light: NDArray[Any], save: Any, aspect: tuple[float, float], orientation: int
) -> None:
    content = dng(light, orientation=orientation, more={50718: fractions(aspect)})
    path = save(content, "a.dng")
    photo = read_photo(path)
    assert read_header(path) == photo.header
    assert np.array_equal(photo.pixels, by_libraw(content))
    if aspect == (1, 2):
        assert sorted(photo.pixels.shape[:2]) == [64, 96]


def test_a_camera_of_grey_gives_grey(light: NDArray[Any], save: Any) -> None:
    grey = light[:, :, 1:2].repeat(3, axis=2)
    content = dng(grey, more={262: numbers(3, 34892), 50710: numbers(1, 0)})
    path = save(content, "a.dng")
    photo = read_photo(path)
    assert photo.is_grey
    assert read_header(path) == photo.header
    assert np.abs(photo.pixels[:, :, 0] - as_seen(light)[:, :, 1]).max() < 65535 * 0.008
    assert photo.notes == ()


def test_a_white_balance_that_isn_t_there_is_noted(light: NDArray[Any], save: Any) -> None:
    content = dng(light).replace(struct.pack("<H", 50728), struct.pack("<H", 50731))
    photo = read_photo(save(content, "a.dng"))
    assert photo.notes == ("no white balance of the camera was found; daylight's was taken",)
    # What stands elsewhere in the picture doesn't change a colour.
    light = light.copy()
    light[:, 32:] *= (1.0, 0.3, 0.1)
    other = dng(light).replace(struct.pack("<H", 50728), struct.pack("<H", 50731))
    left = slice(None), slice(0, 24)
    assert np.array_equal(read_photo(save(other, "b.dng")).pixels[left], photo.pixels[left])


def with_second_frame(content: bytes) -> bytes:
    """The same DNG, with another directory of its values behind the first."""
    end = 10 + 12 * int.from_bytes(content[8:10], "little")
    even = content + bytes(len(content) % 2)
    pointer = struct.pack("<L", len(even))
    return even[:end] + pointer + even[end + 4 :] + even[8:end] + bytes(4)


def test_further_frames_are_noted(light: NDArray[Any], save: Any) -> None:
    content = dng(light)
    photo = read_photo(save(with_second_frame(content), "a.dng"))
    assert np.array_equal(photo.pixels, by_libraw(content))
    (note,) = photo.notes
    assert "further frames" in note


def test_a_decoder_is_asked_once_for_what_is_known(
    light: NDArray[Any], save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    def counted(module: str, content: bytes, *, pixels: int | None) -> Any:
        asked.append(pixels)
        return process.ask(module, content, pixels=pixels)

    monkeypatch.setattr(decoding, "ask", counted)
    path = save(dng(light), "a.dng")
    header = read_header(path)
    assert np.array_equal(read_photo(path, header=header).pixels, read_photo(path).pixels)
    assert asked == [None, 48 * 64, None, 48 * 64]
    with pytest.raises(PhotoError, match=r"is 64×48.*its header says 64×49"):
        read_photo(path, header=replace(header, height=49))


def test_a_file_out_of_all_proportion_is_not_read(
    light: NDArray[Any], save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = dng(light)
    monkeypatch.setattr(decoding, "MOST_BYTES", len(content) - 1)
    path = save(content, "a.dng")
    for read in (read_header, read_photo):
        with pytest.raises(PhotoError, match=r"more than RAW is read of .*convert it to TIFF"):
            read(path)
    monkeypatch.setattr(decoding, "MOST_BYTES", len(content))
    assert read_header(path) == read_photo(path).header


def test_raw_that_is_cut_is_damaged(light: NDArray[Any], save: Any) -> None:
    content = dng(light)
    for end in (len(content) - 1, len(content) // 2):
        with pytest.raises(DamagedPhotoError, match="1 of 1 strips lie beyond its end"):
            read_photo(save(content[:end], "a.dng"))
    photo = read_photo(save(content[:-1], "a.dng"), allow_damaged=True)
    assert "what could be decoded was restored" in photo.notes[0]
    with pytest.raises(PhotoError, match="can't be decoded"):
        read_photo(save(content[: len(content) // 2], "a.dng"), allow_damaged=True)


def test_other_makers_files_that_are_cut_are_damaged() -> None:
    sides = {2: numbers(3, 60), 3: numbers(3, 40), 45: numbers(3, 4), 280: numbers(4, 512)}
    panasonic = (b"IIU\0" + structure(Directory(sides))[4:]).ljust(512 + 60 * 40, b"\1")
    fujifilm = b"FUJIFILMCCD-RAW ".ljust(100, b"\0") + struct.pack(">LL", 200, 300)
    canon = box(b"ftyp", b"crx " + bytes(8)) + box(b"mdat", bytes(100))
    below = Directory({273: numbers(4, 100), 279: numbers(4, 400)})
    main = Directory({330: numbers(4, 0), 271: text("Acme")})
    main.fields[330] = numbers(4, 8 + len(serialize(main, 8)))
    nikon = structure(main) + serialize(below, 8 + len(serialize(main, 8)))
    for whole in (panasonic, fujifilm.ljust(500, b"\1"), canon, nikon.ljust(500, b"\1")):
        assert inspect(whole).damage is None
        assert inspect(whole[:-1]).damage is not None


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_is_none_turns_nothing(
    light: NDArray[Any], save: Any, orientation: int
) -> None:
    path = save(dng(light, orientation=orientation), "a.dng")
    photo = read_photo(path)
    assert read_header(path) == photo.header
    assert np.array_equal(photo.pixels, by_libraw(dng(light)))


def test_a_preview_never_stands_for_the_photo(save: Any) -> None:
    # A JPEG inside, and no values that LibRaw could develop: the file is refused.
    jpeg = save(b"", "p.jpg")
    write_photo(Photo(pixels=np.zeros((8, 8, 3), np.uint8)), jpeg)
    size = len(jpeg.read_bytes())
    fujifilm = b"FUJIFILMCCD-RAW ".ljust(84, b"0") + struct.pack(">LL", 92, size)
    path = save(fujifilm + jpeg.read_bytes(), "a.raf")
    with pytest.raises(PhotoError, match="can't be decoded"):
        read_photo(path, allow_damaged=True)


def test_without_its_package_the_extra_is_named(
    light: NDArray[Any], save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(dng(light), "a.dng")
    assert written_suffix(path) == ".tif"

    def find(name: str) -> object:
        return None if name == "rawpy" else importlib.util.find_spec(name)

    monkeypatch.setattr(opening, "find_spec", find)
    for read in (read_photo, read_header):
        with pytest.raises(MissingDependencyError, match=r'is RAW.*pip install "mirnet\[raw\]"'):
            read(path)


def test_a_decoder_that_never_ends_is_stopped(
    light: NDArray[Any], save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SECONDS", 0)
    monkeypatch.setattr(process, "SECONDS_PER_PIXEL", 0)
    with pytest.raises(PhotoError, match="stopped"):
        read_header(save(dng(light), "a.dng"))
