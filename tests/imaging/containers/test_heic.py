from __future__ import annotations

import importlib.util
import struct
import time
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pillow_heif
import pytest
import pyvips
from numpy.typing import NDArray

from mirnet.errors import DamagedPhotoError, MissingDependencyError, PhotoError
from mirnet.imaging import opening
from mirnet.imaging.containers import heic as heic_module
from mirnet.imaging.containers.boxes import Reference, read_meta
from mirnet.imaging.containers.contents import UnusableError
from mirnet.imaging.containers.heif import _unpacked, described
from mirnet.imaging.io import read_header, read_photo, write_photo, written_suffix

from .conftest import exif_block
from .heics import heic, levels, saved, with_numbers

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


@pytest.fixture
def pixels(image: Any) -> NDArray[np.uint8]:
    return np.asarray(image.numpy(), np.uint8)


def of_channels(pixels: NDArray[Any], channels: int) -> NDArray[Any]:
    colours = pixels if channels >= 3 else pixels[:, :, :1]
    return np.dstack([colours, pixels[::-1, :, 0]]) if channels in (2, 4) else colours


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_every_depth_and_kind_is_what_libheif_decodes(
    pixels: NDArray[Any], save: Any, channels: int, bits: int
) -> None:
    kind = of_channels(pixels, channels)
    content = heic(kind if bits == 8 else kind.astype(np.uint16) * 257, bits=bits)
    path = save(content, "a.heic")
    photo = read_photo(path)
    white = 2**bits - 1
    full = 255 if bits == 8 else 65535
    decoded = levels(content)  # libheif repeats grey that has alpha
    decoded = decoded[:, :, [0, 3]] if channels == 2 else decoded
    expected = np.floor(decoded / white * full + 0.5)
    assert expected.max() > full / 2
    together = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    assert np.array_equal(together, expected)
    assert np.abs(together / full - kind / 255).max() < 0.02
    assert read_header(path) == photo.header
    assert photo.depth == ("8" if bits == 8 else "16")
    assert photo.is_grey is (channels < 3)
    assert photo.notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_once(pixels: NDArray[Any], save: Any, orientation: int) -> None:
    turned = {
        1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1],
        5: pixels.swapaxes(0, 1), 6: np.rot90(pixels, -1),
        7: pixels[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(pixels, 1),
    }[orientation]  # fmt: skip
    # The encoder writes irot and imir, and leaves the orientation in EXIF, as phones do.
    path = save(heic(pixels, exif=exif_block(t_271=b"Acme\0", t_274=orientation)), "a.heic")
    photo = read_photo(path)
    assert photo.pixels.shape == turned.shape
    assert np.abs(photo.pixels.astype(int) - turned).max() <= 3
    assert read_header(path) == photo.header
    assert photo.metadata.exif == exif_block(t_271=b"Acme\0", t_274=1)


def test_exif_alone_turns_nothing(pixels: NDArray[Any], save: Any) -> None:
    content = heic(pixels, exif=exif_block(t_274=6)).replace(b"irot", b"free")
    photo = read_photo(save(content, "a.heic"))
    assert photo.pixels.shape == pixels.shape
    assert photo.metadata.exif == exif_block(t_274=1)


def test_a_cropped_picture_of_odd_size_has_that_size(pixels: NDArray[Any], save: Any) -> None:
    for height, width in ((29, 37), (1, 40), (30, 3)):
        part = np.ascontiguousarray(pixels[:height, :width])
        content = heic(part, chroma=420, exif=exif_block(t_274=8))
        assert b"clap" in content
        path = save(content, "a.heic")
        assert read_photo(path).pixels.shape == (width, height, 3)
        assert read_header(path) == read_photo(path).header


def test_tiles_are_put_together(pixels: NDArray[Any], save: Any) -> None:
    large = np.tile(pixels, (9, 9, 1))
    content = heic(large, tile_size=128)
    assert b"grid" in content
    path = save(content, "a.heic")
    photo = read_photo(path)
    assert np.array_equal(photo.pixels, levels(content))
    assert read_header(path) == photo.header
    assert photo.notes == ()


def test_colours_named_by_numbers_become_a_profile(pixels: NDArray[Any], save: Any) -> None:
    content = heic(pixels)
    assert read_photo(save(with_numbers(content, 1, 13), "a.heic")).metadata.icc is None
    photo = read_photo(save(with_numbers(content, 12, 13), "a.heic"))
    assert photo.metadata.profile_name == "CICP 12/13"
    for transfer, reason in ((16, "HDR .PQ."), (18, "HDR .HLG."), (8, "linear light")):
        path = save(with_numbers(content, 9, transfer), "a.heic")
        for read in (read_photo, read_header):
            with pytest.raises(PhotoError, match=reason):
                read(path)


def wide() -> bytes:
    black = pyvips.Image.black(2, 2, bands=3).copy(interpretation="srgb")
    return bytes(black.icc_transform("p3").get("icc-profile-data"))


def with_numbers_too(content: bytes, transfer: int) -> bytes:
    """A cropped file, with nclx in place of its crop."""
    at = content.index(b"clap") - 4
    size = int.from_bytes(content[at : at + 4], "big")
    numbers = struct.pack(">L4s4sHHHB", 19, b"colr", b"nclx", 9, transfer, 9, 0x80)
    rest = struct.pack(">L4s", size - 19, b"free").ljust(size - 19, b"\0")
    return content[:at] + numbers + rest + content[at + size :]


def test_a_profile_hides_no_hdr(pixels: NDArray[Any], save: Any) -> None:
    file = pillow_heif.from_bytes(mode="RGB", size=(40, 30), data=pixels.tobytes())
    file[0].info["icc_profile"] = wide()
    content = saved(file)
    photo = read_photo(save(with_numbers_too(content, 13), "a.heic"))
    assert photo.metadata.icc == wide()
    for transfer, reason in ((16, "HDR .PQ."), (18, "HDR .HLG."), (8, "linear light")):
        path = save(with_numbers_too(content, transfer), "a.heic")
        for read in (read_photo, read_header):
            with pytest.raises(PhotoError, match=reason):
                read(path)


def by_the_encoder(pixels: NDArray[Any], primaries: int, transfer: int) -> bytes:
    """A file whose coded picture alone names its colours."""
    content = heic(
        pixels.astype(np.uint16) * 257, bits=10, color_primaries=primaries,
        transfer_characteristics=transfer, matrix_coefficients=9, full_range_flag=1,
    )  # fmt: skip
    assert content.count(b"colr") == 1
    return content.replace(b"colr", b"free")


def test_colours_that_the_coded_picture_names_count_where_none_else_are(
    pixels: NDArray[Any], save: Any
) -> None:
    for transfer, reason in ((16, "HDR .PQ."), (18, "HDR .HLG."), (8, "linear light")):
        content = by_the_encoder(pixels, 9, transfer)
        for read in (read_photo, read_header):
            with pytest.raises(PhotoError, match=reason):
                read(save(content, "a.heic"))
        named = with_numbers(content.replace(b"free", b"colr"), 12, 13)
        photo = read_photo(save(named, "a.heic"))
        assert photo.metadata.profile_name == "CICP 12/13"
    photo = read_photo(save(by_the_encoder(pixels, 12, 13), "a.heic"))
    assert photo.metadata.profile_name == "CICP 12/13"
    # Television's, which encoders of phones write for whatever they encode.
    assert read_photo(save(by_the_encoder(pixels, 5, 6), "a.heic")).metadata.icc is None


def test_colours_of_tiles_are_those_of_the_picture() -> None:
    content = with_numbers(of_tiles(np.random.default_rng(1)), 9, 16)
    meta = read_meta(content)
    for uses in ({}, {meta.primary: [1]}):
        meta.used |= uses
        with pytest.raises(UnusableError, match=r"HDR .PQ."):
            described(content, meta)


def test_metadata_is_kept(pixels: NDArray[Any], save: Any) -> None:
    profile = wide()
    file = pillow_heif.from_bytes(mode="RGB", size=(40, 30), data=pixels.tobytes())
    file[0].info["icc_profile"] = profile
    block = exif_block(t_271=b"Acme\0", t_274=1)
    photo = read_photo(save(saved(file, exif=block, xmp=XMP), "a.heic"))
    assert photo.metadata.exif == block
    assert photo.metadata.xmp == XMP
    assert photo.metadata.icc == profile


def test_premultiplied_colours_are_divided(pixels: NDArray[Any], save: Any) -> None:
    content = heic(of_channels(pixels // 2, 4), is_premultiplied=True)
    assert b"prem" in content
    photo = read_photo(save(content, "a.heic"))
    assert photo.alpha is not None
    straight = levels(content)[:, :, :3] / photo.alpha[:, :, None].astype(float)
    expected = np.floor(np.clip(straight, 0, 1) * 255 + 0.5)
    assert np.abs(photo.pixels - expected).max() <= 1  # float32 may miss a half
    assert np.abs(photo.pixels.astype(int) - (pixels // 2)).mean() > 20


def test_the_primary_picture_is_taken_and_others_are_named(pixels: NDArray[Any], save: Any) -> None:
    file = pillow_heif.from_bytes(mode="RGB", size=(40, 30), data=pixels.tobytes())
    other = np.ascontiguousarray(pixels[::-1, :20])
    file.add_frombytes(mode="RGB", size=(20, 30), data=other.tobytes())
    file[0].info["exif"] = exif_block(t_271=b"First\0")
    file[1].info["exif"] = exif_block(t_271=b"Second\0")
    content = saved(file, primary_index=1)
    assert content.index(b"First") < content.index(b"Second")
    photo = read_photo(save(content, "a.heic"))
    assert np.abs(photo.pixels.astype(int) - other).max() <= 3
    assert photo.metadata.exif == exif_block(t_271=b"Second\0")
    assert photo.notes == ("what the file holds beside the photo was left out (further pictures)",)


@pytest.mark.parametrize(
    ("purpose", "name"),
    [
        (b"urn:mpeg:hevc:2015:auxid:2", "depth map"),
        (b"urn:com:apple:2020:gainmap", "gain map"),
        (b"urn:com:acme:something:odd", "auxiliary picture"),
    ],
)
def test_what_is_not_carried_is_named(
    pixels: NDArray[Any], save: Any, purpose: bytes, name: str
) -> None:
    content = heic(of_channels(pixels, 4))
    alpha = b"urn:mpeg:hevc:2015:auxid:1"
    content = content.replace(alpha, purpose[: len(alpha)].ljust(len(alpha), b"\0"))
    content += b"\0\0\0\x10mpvd" + bytes(8)
    path = save(content, "a.heic")
    photo = read_photo(path)
    assert photo.alpha is None
    assert photo.notes == (f"what the file holds beside the photo was left out ({name}, video)",)


def test_a_cut_file_is_damaged(pixels: NDArray[Any], save: Any) -> None:
    content = heic(pixels)
    path = save(content[:-40], "a.heic")
    for allow_damaged in (False, True):  # libheif gives nothing of it: no use in asking for that
        with pytest.raises(PhotoError, match="1 of 1 pieces lie beyond its end") as refused:
            read_photo(path, allow_damaged=allow_damaged)
        assert not isinstance(refused.value, DamagedPhotoError)


def of_tiles(rng: np.random.Generator) -> bytes:
    """Six tiles of a picture that isn't smooth."""
    large = (np.indices((200, 360)).sum(0)[:, :, None] // 3).astype(np.uint8)
    return heic(large + rng.integers(0, 20, (200, 360, 3), np.uint8), tile_size=128)


def places(content: bytes) -> list[tuple[int, int]]:
    """Where the coded pictures stand."""
    meta = read_meta(content)
    coded = [number for number, item in meta.items.items() if item.kind == b"hvc1"]
    return [place for number in coded for place in meta.extents[number]]


def test_zeros_and_lost_bytes_are_damage(save: Any, pixels: NDArray[Any]) -> None:
    rng = np.random.default_rng(1)
    tiles, single = (
        of_tiles(rng),
        heic(np.tile(pixels, (3, 3, 1)) + rng.integers(9, size=(90, 120, 3), dtype=np.uint8)),
    )
    at, length = places(tiles)[4]
    (alone, whole), third = places(single)[0], len(tiles) // 3
    damaged = {
        "a tile of zeros": tiles[:at] + bytes(length) + tiles[at + length :],
        "a hole in a tile": tiles[: at + length // 2] + bytes(9) + tiles[at + length // 2 + 9 :],
        "tiles, last third zero": tiles[: 2 * third] + bytes(len(tiles) - 2 * third),
        "last third zero": single[: alone + whole // 3 * 2]
        + bytes(len(single) - alone - whole // 3 * 2),
        "bytes lost": single[: alone + whole // 2] + single[alone + whole // 2 + 50 :] + bytes(50),
    }
    for name, content in damaged.items():
        assert len(content) in (len(tiles), len(single))
        path = save(content, "a.heic")
        with pytest.raises(DamagedPhotoError, match=r"truncated or damaged .* of . pieces"):
            print(name, read_photo(path))
    path = save(damaged["a tile of zeros"], "a.heic")
    photo = read_photo(path, allow_damaged=True)
    assert photo.notes == (
        "damaged (1 of 7 pieces: the lengths in it don't fit); what could be decoded was restored",
    )
    sound = read_photo(save(tiles, "b.heic")).pixels
    differs = (photo.pixels != sound).any(axis=2)
    assert differs[128:, 128:256].any()
    assert not differs[:128].any()


def test_a_damaged_alpha_is_damage(save: Any, pixels: NDArray[Any]) -> None:
    content = heic(of_channels(pixels, 4))
    at, length = places(content)[1]
    path = save(content[:at] + bytes(length) + content[at + length :], "a.heic")
    with pytest.raises(DamagedPhotoError, match="1 of 2 pieces"):
        read_photo(path)


def test_pieces_that_lie_over_each_other_are_damage(save: Any) -> None:
    content = of_tiles(np.random.default_rng(1))
    entries = [struct.pack(">LHLL", at, 1, 0, length) for at, length in places(content)]
    for entry in entries:
        assert content.count(entry) == 1
        content = content.replace(entry, entries[0])
    with pytest.raises(DamagedPhotoError, match="over each other"):
        read_photo(save(content, "a.heic"))


def test_places_out_of_all_proportion_are_refused_at_once(pixels: NDArray[Any], save: Any) -> None:
    # No bytes for an offset or a length: 4096 items of 4096 places each in 40 kB.
    items = b"".join(struct.pack(">HHH", number, 0, 4096) for number in range(1, 4097))
    places_box = b"\0\0\0\0\0\0" + struct.pack(">H", 4096) + items
    content = heic(pixels)
    meta_at = content.index(b"meta") - 4
    size = int.from_bytes(content[meta_at : meta_at + 4], "big")
    grown = struct.pack(">L4s", len(places_box) + 8, b"iloc") + places_box
    whole = struct.pack(">L", size + len(grown)) + content[meta_at + 4 : meta_at + size] + grown
    path = save(content[:meta_at] + whole + content[meta_at + size :], "a.heic")
    start = time.process_time()
    with pytest.raises(PhotoError, match="damaged in its header"):
        read_header(path)
    assert time.process_time() - start < 2


def test_references_and_properties_are_bounded() -> None:
    for kind, content in (
        (b"iref", bytes(4) + struct.pack(">L4s", 200_008, b"dimg") + bytes(200_000)),
        (b"iprp", struct.pack(">L4s", 200_008, b"ipma") + bytes(200_000)),
    ):
        inner = struct.pack(">L4s", len(content) + 8, kind) + content
        with pytest.raises(ValueError, match="out of all proportion"):
            read_meta(struct.pack(">L4s4x", len(inner) + 12, b"meta") + inner)


def test_only_the_primary_picture_s_alpha_can_be_multiplied(
    pixels: NDArray[Any], save: Any
) -> None:
    premultiplied = heic(of_channels(pixels // 2, 4), is_premultiplied=True)
    at = premultiplied.index(b"prem") + 4
    reference = premultiplied[at : at + 6]
    other = reference[:4] + (99).to_bytes(2, "big")
    photo = read_photo(save(premultiplied.replace(reference, other), "a.heic"))
    assert np.array_equal(photo.pixels, levels(premultiplied)[:, :, :3])
    alpha = b"urn:mpeg:hevc:2015:auxid:1"
    no_alpha = premultiplied.replace(alpha, b"urn:com:acme:thing".ljust(len(alpha), b"\0"))
    photo = read_photo(save(no_alpha, "b.heic"))
    assert photo.alpha is None
    assert np.array_equal(photo.pixels, levels(premultiplied)[:, :, :3])


@pytest.mark.parametrize("is_alpha", [True, False])
def test_alpha_may_belong_to_all_tiles(monkeypatch: pytest.MonkeyPatch, is_alpha: bool) -> None:
    content = of_tiles(np.random.default_rng(1))
    meta = read_meta(content)
    meta.references.append(Reference(b"auxl", 99, (meta.primary,)))
    monkeypatch.setattr(heic_module, "_is_alpha", lambda *_: is_alpha)
    assert heic_module._header(content, meta).has_alpha is is_alpha


def test_grey_of_named_colours_keeps_its_curve(pixels: NDArray[Any], save: Any) -> None:
    content = with_numbers(
        heic(
            of_channels(pixels, 1),
            color_primaries=1,
            transfer_characteristics=13,
            matrix_coefficients=6,
            full_range_flag=1,
        ),
        12,
        4,
    )
    photo = read_photo(save(content, "a.heic"))
    assert photo.metadata.profile_channels == 1
    assert photo.notes == ()
    assert write_photo(photo, save(b"", "b.png")) == ()


def test_packed_xmp_is_unpacked(pixels: NDArray[Any], save: Any) -> None:
    content = heic(pixels, xmp=XMP)
    meta = read_meta(content)
    (item,) = (each for each in meta.items.values() if each.kind == b"mime")
    assert item.encoding == b""
    for encoding in (b"deflate", b"compress_zlib"):
        assert _unpacked(zlib.compress(XMP), encoding) == XMP
        assert _unpacked(zlib.compress(XMP)[:-5], encoding) == b""
        assert _unpacked(zlib.compress(bytes(17 << 20)), encoding) == b""
        assert _unpacked(XMP, encoding) == b""
    assert _unpacked(XMP, b"br") == b""
    assert read_photo(save(content, "a.heic")).metadata.xmp == XMP


def test_what_stands_in_idat_is_found(pixels: NDArray[Any]) -> None:
    content = of_tiles(np.random.default_rng(1))
    meta = read_meta(content)
    ((at, length),) = meta.extents[meta.primary]  # the grid's own few bytes
    start = content.index(b"idat") + 4
    assert (at, length) == (start, 8)
    assert content[at : at + 4] == b"\0\0\1\2"  # two rows of three


def test_a_tone_map_is_named(pixels: NDArray[Any], save: Any) -> None:
    file = pillow_heif.from_bytes(mode="RGB", size=(40, 30), data=pixels.tobytes())
    file.add_frombytes(mode="RGB", size=(40, 30), data=pixels.tobytes())
    content = saved(file, primary_index=0)
    meta = read_meta(content)
    (other,) = (
        item for n, item in meta.items.items() if n != meta.primary and item.kind == b"hvc1"
    )
    content = content[: other.at] + b"tmap" + content[other.at + 4 :]
    photo = read_photo(save(content, "a.heic"))
    assert photo.notes == ("what the file holds beside the photo was left out (gain map)",)


def test_a_size_that_is_not_true_is_refused(pixels: NDArray[Any], save: Any) -> None:
    content = heic(pixels)
    at = content.index(b"ispe") + 8
    sides = content[at : at + 8]
    assert sides == (64).to_bytes(4, "big") * 2
    for side in (24, 8192, 2**31):
        path = save(content.replace(sides, side.to_bytes(4, "big") * 2), "a.heic")
        with pytest.raises(PhotoError) as refused:
            read_photo(path)
        assert "\n" not in str(refused.value)
    uncropped = content.replace(b"clap", b"free")
    for side in (2**15 + 1, 2**31, 2**32 - 1):
        path = save(uncropped.replace(sides, side.to_bytes(4, "big") * 2), "a.heic")
        for read in (read_photo, read_header):
            with pytest.raises(PhotoError, match=f"says that it is {side}×{side}, more than any"):
                read(path)


def test_without_its_package_the_extra_is_named(
    pixels: NDArray[Any], save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(heic(pixels), "a.heic")

    def find(name: str) -> object:
        return None if name == "pillow_heif" else importlib.util.find_spec(name)

    monkeypatch.setattr(opening, "find_spec", find)
    for read in (read_photo, read_header):
        with pytest.raises(MissingDependencyError, match=r'pip install "mirnet\[heic\]"'):
            read(path)


def test_it_can_t_be_written(pixels: NDArray[Any], save: Any, tmp_path: Path) -> None:
    photo = read_photo(save(heic(pixels), "a.heic"))
    with pytest.raises(PhotoError, match=r"can't be written as \.heic; choose one of \.png"):
        write_photo(photo, tmp_path / "b.heic")


def test_what_it_becomes_can_hold_it(pixels: NDArray[Any], save: Any, tmp_path: Path) -> None:
    deep = heic(pixels.astype(np.uint16) * 257, bits=10)
    assert written_suffix(save(heic(pixels), "a.heic")) == ".jpg"
    assert written_suffix(save(heic(pixels), "a.HIF"), depth="16") == ".tif"
    assert written_suffix(save(deep, "b.heif")) == ".tif"
    assert written_suffix(save(deep, "b.heif"), depth="8") == ".jpg"
    assert written_suffix(save(heic(of_channels(pixels, 4)), "c.heic")) == ".tif"
    assert written_suffix(save(b"no photo", "d.heic")) == ".jpg"
    assert written_suffix(tmp_path / "e.png") is None


class Counted(list[Reference]):
    """Counts how often it is gone through."""

    times = 0

    def __iter__(self) -> Iterator[Reference]:
        self.times += 1
        return super().__iter__()


def test_references_are_gone_through_once_however_many_parts_there_are() -> None:
    parts = tuple(range(1, 600))
    references = Counted([Reference(b"dimg", 0, parts), Reference(b"dimg", 7, (0, 8))])
    meta: Any = SimpleNamespace(primary=0, references=references, items=dict.fromkeys(range(999)))
    assert heic_module._pieces(b"", meta) == {0, *parts}
    assert references.times == 1


@pytest.mark.parametrize(("length", "offset"), [(100, 5000), (100, -5000), (-5, 0)])
def test_a_crop_beside_the_picture_leaves_nothing(length: int, offset: int) -> None:
    assert heic_module._cropped(4000, Fraction(length), Fraction(offset)) < 1
