from __future__ import annotations

import errno
import os
import re
import stat
import struct
import zlib
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import pyvips
from numpy.typing import NDArray

from mirnet.errors import PhotoError
from mirnet.imaging import formats
from mirnet.imaging.formats import FORMATS
from mirnet.imaging.io import read_header, read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Depth, Photo

Shape = tuple[int, ...]
AnyArray = NDArray[Any]

RGB, GREY = (24, 31, 3), (24, 31, 1)
LOSSLESS: list[tuple[str, Depth]] = [
    (".png", "8"), (".png", "16"), (".tif", "8"), (".tiff", "16"), (".tif", "float"),
]  # fmt: skip
# Largest difference of a smooth picture at quality 95, relative to white.
LOSSY: list[tuple[str, Depth, float]] = [
    (".jpg", "8", 0.03), (".jpeg", "8", 0.03), (".webp", "8", 0.06), (".avif", "8", 0.04),
    (".avif", "16", 0.04),
]  # fmt: skip
DTYPES = {"8": np.uint8, "16": np.uint16, "float": np.float32}
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
IPTC = b"\x1c\x02\x78\x00\x06noises"
EXIF = {
    "exif-ifd0-Make": "Acme",
    "exif-ifd0-Model": "Model 1",
    "exif-ifd2-DateTimeOriginal": "2020:01:02 03:04:05",
    "exif-ifd2-ExposureTime": "1/200",
    "exif-ifd3-GPSLatitude": "10/1 20/1 30/1",
}


def white(depth: Depth) -> float:
    return {"8": 255, "16": 65535, "float": 1.0}[depth]


def noise(shape: Shape, depth: Depth = "8", seed: int = 0) -> AnyArray:
    values = np.random.default_rng(seed).random(shape)
    return (values * white(depth)).astype(DTYPES[depth])


def smooth(shape: Shape, depth: Depth = "8") -> AnyArray:
    rows, columns, channels = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    return ((0.2 + 0.5 * rows * columns + 0.2 * channels) * white(depth)).astype(DTYPES[depth])


def vips(pixels: AnyArray, interpretation: str = "srgb") -> Any:
    return pyvips.Image.new_from_array(pixels).copy(interpretation=interpretation)


def icc(name: str = "p3") -> bytes:
    black = pyvips.Image.black(2, 2, bands=3).copy(interpretation="srgb")
    return bytes(black.icc_transform(name).get("icc-profile-data"))


def camera_jpeg(path: Path, pixels: AnyArray, orientation: int) -> Path:
    image = vips(pixels).copy(xres=12, yres=10)
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    for name, value in EXIF.items():
        image.set_type(pyvips.GValue.gstr_type, name, value)
    image.set_type(pyvips.GValue.blob_type, "xmp-data", XMP)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc())
    image.jpegsave(str(path), Q=100, subsample_mode="off")
    return path


def exif_fields(photo: Photo) -> dict[str, str]:
    """EXIF as libvips understands it, after a detour through a JPEG."""
    image = vips(np.zeros((2, 2, 3), np.uint8))
    image.set_type(pyvips.GValue.blob_type, "exif-data", b"Exif\0\0" + (photo.metadata.exif or b""))
    read = pyvips.Image.new_from_buffer(image.jpegsave_buffer(), "")
    return {f: read.get(f).split(" (")[0] for f in read.get_fields() if f.startswith("exif-ifd")}


def raw_orientations(exif: bytes) -> list[int]:
    """The orientations that the main directory of an EXIF block names."""
    order = "<" if exif[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "L", exif, 4)
    (count,) = struct.unpack_from(order + "H", exif, start)
    entries = [struct.unpack_from(order + "HHLH", exif, start + 2 + 12 * i) for i in range(count)]
    return [entry[3] for entry in entries if entry[0] == 0x0112]


def one_line(info: pytest.ExceptionInfo[PhotoError]) -> str:
    message = str(info.value)
    assert "\n" not in message
    return message


# Round trips


@pytest.mark.parametrize(("suffix", "depth"), LOSSLESS)
@pytest.mark.parametrize("shape", [RGB, GREY, (1, 1, 3), (1, 1, 1), (3, 5, 3), (4097, 3, 3)])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_lossless_formats_give_everything_back(
    tmp_path: Path, suffix: str, depth: Depth, shape: Shape, has_alpha: bool
) -> None:
    alpha = noise(shape[:2], depth, seed=1) if has_alpha else None
    photo = Photo(pixels=noise(shape, depth), alpha=alpha)
    write_photo(photo, tmp_path / f"a{suffix}")
    back = read_photo(tmp_path / f"a{suffix}")
    assert back.depth == depth
    assert np.array_equal(back.pixels, photo.pixels)
    assert (back.alpha is None) == (alpha is None)
    if alpha is not None and back.alpha is not None:
        assert np.array_equal(back.alpha, alpha)
    assert back.pixels.flags.c_contiguous
    header = read_header(tmp_path / f"a{suffix}")
    assert (header.height, header.width, header.channels) == shape
    assert (header.depth, header.has_alpha) == (depth, has_alpha)


@pytest.mark.parametrize(("suffix", "depth", "tolerance"), LOSSY)
@pytest.mark.parametrize("shape", [RGB, GREY, (1, 1, 3), (3, 5, 3)])
def test_lossy_formats_come_close(
    tmp_path: Path, suffix: str, depth: Depth, tolerance: float, shape: Shape
) -> None:
    photo = Photo(pixels=smooth(shape, depth))
    write_photo(photo, tmp_path / f"a{suffix}")
    back = read_photo(tmp_path / f"a{suffix}")
    assert back.depth == depth
    assert back.pixels.shape[:2] == shape[:2]
    difference = back.pixels.astype(float) - photo.pixels.astype(float)
    assert np.abs(difference).max() <= tolerance * white(depth)


@pytest.mark.parametrize(("suffix", "depth"), [(".webp", "8"), (".avif", "8"), (".avif", "16")])
@pytest.mark.parametrize("shape", [RGB, GREY])
def test_lossy_formats_keep_alpha(tmp_path: Path, suffix: str, depth: Depth, shape: Shape) -> None:
    alpha = smooth((*shape[:2], 1), depth)[:, :, 0]
    write_photo(Photo(pixels=smooth(shape, depth), alpha=alpha), tmp_path / f"a{suffix}")
    back = read_photo(tmp_path / f"a{suffix}")
    assert read_header(tmp_path / f"a{suffix}").has_alpha
    assert back.alpha is not None
    assert np.abs(back.alpha.astype(float) - alpha).max() <= 0.04 * white(depth)


def test_white_and_black_of_a_deep_avif_are_exact(tmp_path: Path) -> None:
    for level in (0, 65535):
        flat = Photo(pixels=np.full((16, 16, 3), level, np.uint16))
        write_photo(flat, tmp_path / "a.avif", quality=100)
        assert np.unique(read_photo(tmp_path / "a.avif").pixels).tolist() == [level]


def test_ten_bit_avif_fills_the_range(tmp_path: Path) -> None:
    full = vips(np.full((16, 16, 3), 65535, np.uint16), "rgb16")
    full.heifsave(str(tmp_path / "a.avif"), compression="av1", bitdepth=10)
    assert read_photo(tmp_path / "a.avif").pixels.min() == 65535


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_equal_photos_give_equal_bytes(tmp_path: Path, suffix: str) -> None:
    photo = Photo(pixels=smooth((70, 90, 3)), metadata=Metadata(icc=icc(), xmp=XMP, iptc=IPTC))
    for name in ("a", "b"):
        write_photo(photo, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_quality_decides_the_size(tmp_path: Path, suffix: str) -> None:
    sizes: list[int] = []
    for quality in (20, 90):
        write_photo(Photo(pixels=noise((64, 64, 3))), tmp_path / f"a{suffix}", quality=quality)
        sizes.append((tmp_path / f"a{suffix}").stat().st_size)
    assert sizes[0] < sizes[1]


def test_jpeg_colour_is_not_subsampled(tmp_path: Path) -> None:
    write_photo(Photo(pixels=noise(RGB)), tmp_path / "a.jpg", quality=60)
    assert (
        pyvips.Image.new_from_file(str(tmp_path / "a.jpg"))
        .get("jpeg-chroma-subsample")
        .startswith("4:4:4")
    )


# Kinds of files


def test_a_palette_becomes_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = (255, 0, 0)
    vips(pixels).pngsave(str(tmp_path / "a.png"), palette=True)
    assert np.array_equal(read_photo(tmp_path / "a.png").pixels, pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_one_bit_becomes_grey(tmp_path: Path, suffix: str) -> None:
    pixels = np.zeros((8, 8, 1), np.uint8)
    pixels[:, 3:] = 255
    vips(pixels, "b-w").write_to_file(str(tmp_path / f"a{suffix}"), bitdepth=1)
    back = read_photo(tmp_path / f"a{suffix}")
    assert back.depth == "8"
    assert np.array_equal(back.pixels, pixels)


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    write_photo(Photo(pixels=smooth(RGB)), tmp_path / "a.jpg")
    path = (tmp_path / "a.jpg").rename(tmp_path / "weird [page=3].PNG")
    assert read_photo(path).pixels.shape == RGB


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    for level in (10, 20):
        write_photo(Photo(pixels=np.full(RGB, level, np.uint8)), tmp_path / "a.png")
        assert read_photo(tmp_path / "a.png").pixels.max() == level


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    vips(np.zeros((8, 8, 4), np.uint8), "cmyk").write_to_file(str(path))
    for read in (read_photo, read_header):
        with pytest.raises(PhotoError, match="CMYK colour; convert it to RGB") as info:
            read(path)
        assert one_line(info).startswith(str(path))


def test_lab_is_refused(tmp_path: Path) -> None:
    vips(noise(RGB)).colourspace("lab").tiffsave(str(tmp_path / "a.tif"))
    with pytest.raises(PhotoError, match="LAB colour"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", ["int", "uint", "short", "double", "complex"])
def test_other_pixel_types_are_refused(tmp_path: Path, kind: str) -> None:
    vips(noise(RGB)).cast(kind).tiffsave(str(tmp_path / "a.tif"))
    with pytest.raises(PhotoError, match="8-") as info:
        read_photo(tmp_path / "a.tif")
    one_line(info)


@pytest.mark.parametrize("suffix", [".tif", ".webp"])
def test_several_pages_are_refused(tmp_path: Path, suffix: str) -> None:
    pages = vips(np.concatenate([noise(RGB), noise(RGB, seed=1)])).copy()
    pages.set_type(pyvips.GValue.gint_type, "page-height", RGB[0])
    pages.write_to_file(str(tmp_path / f"a{suffix}"))
    with pytest.raises(PhotoError, match=r"(holds .* pages|is animated).*; extract"):
        read_photo(tmp_path / f"a{suffix}")


def test_an_animated_png_is_refused(tmp_path: Path) -> None:
    write_photo(Photo(pixels=noise(RGB)), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    control = b"acTL" + struct.pack(">LL", 2, 0)
    chunk = struct.pack(">L", 8) + control + struct.pack(">L", zlib.crc32(control))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(PhotoError, match="animated"):
        read_photo(tmp_path / "a.png")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_must_be_finite(tmp_path: Path, value: float) -> None:
    pixels = noise(RGB, "float")
    pixels[3, 4, 1] = value
    vips(pixels, "scrgb").tiffsave(str(tmp_path / "a.tif"))
    with pytest.raises(PhotoError, match="NaN or infinite"):
        read_photo(tmp_path / "a.tif")


def test_floats_must_be_in_range_but_for_a_little_overshoot(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    vips(np.array([[[-0.5, 0.2, 4.0]]], np.float32), "scrgb").tiffsave(str(path))
    with pytest.raises(PhotoError, match=r"from -0\.5 to 4; "):
        read_photo(path)
    vips(np.array([[[-0.0005, 0.25, 1.0005]]], np.float32), "scrgb").tiffsave(str(path))
    assert read_photo(path).pixels.tolist() == [[[0, 0.25, 1]]]


# Orientation and metadata


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, orientation: int) -> None:
    pixels = smooth((16, 24, 3))
    camera = camera_jpeg(tmp_path / "camera.jpg", pixels, orientation)
    upright = pyvips.Image.new_from_file(str(camera)).autorot().numpy()
    photo = read_photo(camera)
    assert np.array_equal(photo.pixels, upright)
    header = read_header(camera)
    assert (header.height, header.width) == upright.shape[:2]
    assert photo.metadata.resolution == pytest.approx(
        (12, 10) if orientation < 5 else (10, 12), rel=1e-5
    )
    for suffix in sorted(FORMATS):
        write_photo(photo, tmp_path / f"again{suffix}")
        again = read_photo(tmp_path / f"again{suffix}")
        assert again.pixels.shape == upright.shape
        assert np.abs(again.pixels.astype(int) - upright).max() < 16
        stored = pyvips.Image.new_from_buffer((tmp_path / f"again{suffix}").read_bytes(), "")
        if stored.get_typeof("orientation"):
            assert stored.get("orientation") == 1
        if stored.get_typeof("exif-data"):
            exif = stored.get("exif-data").removeprefix(b"Exif\0\0")
            assert set(raw_orientations(exif)) <= {1}
        assert b'tiff:Orientation="1"' in stored.get("xmp-data")


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_metadata_survives_every_format_and_the_way_back(tmp_path: Path, suffix: str) -> None:
    photo = read_photo(camera_jpeg(tmp_path / "camera.jpg", smooth(RGB), 6))
    before = exif_fields(photo)
    assert before["exif-ifd0-Make"] == "Acme"
    write_photo(photo, tmp_path / f"a{suffix}")
    stored = read_photo(tmp_path / f"a{suffix}")
    write_photo(stored, tmp_path / "back.jpg")
    for copy in (stored, read_photo(tmp_path / "back.jpg")):
        after = exif_fields(copy)
        assert {name: after.get(name) for name in EXIF} == {name: before[name] for name in EXIF}
        assert copy.metadata.icc == icc()
        assert copy.metadata.xmp == XMP.replace(b'"6"', b'"1"')
        assert not copy.metadata.is_srgb


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_iptc_survives_where_it_can_be_held(tmp_path: Path, suffix: str) -> None:
    write_photo(Photo(pixels=smooth(RGB), metadata=Metadata(iptc=IPTC)), tmp_path / f"a{suffix}")
    assert read_photo(tmp_path / f"a{suffix}").metadata.iptc == IPTC


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_resolution_survives(tmp_path: Path, suffix: str) -> None:
    metadata = Metadata(resolution=(12.0, 10.0))
    write_photo(Photo(pixels=smooth(RGB), metadata=metadata), tmp_path / f"a{suffix}")
    assert read_photo(tmp_path / f"a{suffix}").metadata.resolution == pytest.approx(
        (12, 10), rel=1e-5
    )


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_damaged_exif_does_not_cost_the_photo(tmp_path: Path, suffix: str) -> None:
    broken = [b"junk" * 5, b"II*\0\x08\0\0\0\xff\xff", b"MM\0*\0\0\0\x08\0\x01\x87\x69" + bytes(8)]
    for exif in broken:
        photo = Photo(pixels=smooth(RGB), metadata=Metadata(exif=exif))
        write_photo(photo, tmp_path / f"a{suffix}")
        assert read_photo(tmp_path / f"a{suffix}").pixels.shape == RGB


def test_a_big_endian_exif_goes_into_a_tiff(tmp_path: Path) -> None:
    make = struct.pack(">HHLL", 0x010F, 2, 5, 38) + struct.pack(">HHLHH", 0x0112, 3, 1, 6, 0)
    exif = b"MM\0*" + struct.pack(">LH", 8, 2) + make + bytes(4) + b"Acme\0"
    write_photo(Photo(pixels=smooth(RGB), metadata=Metadata(exif=exif)), tmp_path / "a.tif")
    photo = read_photo(tmp_path / "a.tif")
    assert np.array_equal(photo.pixels, smooth(RGB))
    assert exif_fields(photo)["exif-ifd0-Make"] == "Acme"


@pytest.mark.parametrize("suffix", sorted(FORMATS))
def test_a_profile_for_other_channels_is_left_out(tmp_path: Path, suffix: str) -> None:
    write_photo(Photo(pixels=smooth(GREY), metadata=Metadata(icc=icc())), tmp_path / f"a{suffix}")
    back = read_photo(tmp_path / f"a{suffix}")
    assert (back.metadata.icc is None) == back.is_grey


# Files that can't be read


def one_file(folder: Path, suffix: str) -> Path:
    write_photo(Photo(pixels=noise((64, 80, 3))), folder / f"whole{suffix}")
    return folder / f"whole{suffix}"


@pytest.mark.parametrize("suffix", sorted(FORMATS))
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.9, 0.98])
def test_truncated_files_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, kept: float
) -> None:
    data = one_file(tmp_path, suffix).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(PhotoError, match="get a fresh copy") as info:
        read_photo(path)
    assert re.match(f"{path}: (is )?truncated", one_line(info))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.99])
def test_a_truncated_tiff_with_a_sound_directory_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kept: float
) -> None:
    # Cameras write the directory first, so that the header of a cut file can still be read.
    height, width = 20, 30
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1),
            (273, 4, 8 + 2 + 12 * 9 + 4), (277, 3, 1), (278, 4, height),
            (279, 4, height * width)]  # fmt: skip
    directory = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\0" + struct.pack("<LH", 8, len(tags)) + directory + bytes(4)
    data = head + noise((height, width)).tobytes()
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    assert np.array_equal(read_photo(path).pixels[:, :, 0], noise((height, width)))
    path.write_bytes(data[: len(head) + int(height * width * kept)])
    with pytest.raises(PhotoError, match="truncated or damaged"):
        read_photo(path)
    assert capfd.readouterr() == ("", "")


def test_a_png_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    data = bytearray(one_file(tmp_path, ".png").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(PhotoError, match="truncated or damaged"):
        read_photo(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"just text\n" * 9, "is no PNG"), (b"GIF89a" + bytes(50), "is GIF")],
)
def test_files_that_are_no_photos_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "text.png"
    path.write_bytes(content)
    for read in (read_photo, read_header):
        with pytest.raises(PhotoError, match=message) as info:
            read(path)
        assert one_line(info).startswith(f"{path}: ")


def test_missing_files_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("missing.png", "dangling.png", "", "pipe.png"):
        with pytest.raises(PhotoError, match=r"No such file|folder or device") as info:
            read_photo(tmp_path / name)
        assert one_line(info).startswith(str(tmp_path / name))


def test_a_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = one_file(tmp_path, ".png")

    def refuse(*_args: object, **_kwargs: object) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(PhotoError, match="Permission denied"):
        read_photo(path)


# Files that can't be written


@pytest.mark.parametrize(
    ("name", "depth", "has_alpha", "message"),
    [
        ("a.jpg", "16", False, "JPEG can't hold 16-bit pixels; choose .png or .tif"),
        ("a.webp", "16", False, "WebP can't hold 16-bit pixels; choose .png or .tif"),
        ("a.jpg", "8", True, "JPEG can't hold alpha; choose .png or .tif"),
        ("a.png", "float", False, "PNG can't hold float pixels; choose .tif"),
        ("a.avif", "float", True, "AVIF can't hold float pixels; choose .tif"),
        ("a.bmp", "8", False, "can't be written as .bmp; choose one of .png, .jpg"),
        ("a", "8", False, "can't be written as a file without a suffix"),
        ("no/a.png", "8", False, "does not exist; make it first"),
    ],
)
def test_what_a_format_can_not_hold_is_refused(
    tmp_path: Path, name: str, depth: Depth, has_alpha: bool, message: str
) -> None:
    alpha = noise(RGB[:2], depth) if has_alpha else None
    with pytest.raises(PhotoError, match=message) as info:
        write_photo(Photo(pixels=noise(RGB, depth), alpha=alpha), tmp_path / name)
    assert one_line(info).startswith(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif"])
def test_too_large_a_photo_is_refused(tmp_path: Path, suffix: str) -> None:
    side = formats.FORMATS[suffix].max_side + 1
    with pytest.raises(PhotoError, match="a side"):
        write_photo(Photo(pixels=np.zeros((1, side, 1), np.uint8)), tmp_path / f"a{suffix}")


@pytest.mark.parametrize("quality", [0, 101])
def test_quality_out_of_range_is_refused(tmp_path: Path, quality: int) -> None:
    with pytest.raises(ValueError, match="quality"):
        write_photo(Photo(pixels=noise(RGB)), tmp_path / "a.jpg", quality=quality)


def test_a_failed_encoding_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> NoReturn:
        raise pyvips.Error("unable to save", "out of ideas\n")

    monkeypatch.setattr(pyvips.Image, "pngsave_buffer", fail, raising=False)
    with pytest.raises(PhotoError, match="PNG encoding failed") as info:
        write_photo(Photo(pixels=noise(RGB)), tmp_path / "a.png")
    one_line(info)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["write_bytes", "fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (tmp_path / "a.png").write_bytes(b"old")

    def fail(*_args: object, **_kwargs: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(PhotoError, match="No space left"):
        write_photo(Photo(pixels=noise(RGB)), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(b"old")

    def interrupt(*_args: object, **_kwargs: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_photo(Photo(pixels=noise(RGB)), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_written_file_replaces_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    write_photo(Photo(pixels=noise(RGB)), tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert stat.S_ISREG((tmp_path / "a.png").stat().st_mode)
    assert np.array_equal(read_photo(tmp_path / "a.png").pixels, noise(RGB))
