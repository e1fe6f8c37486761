"""Mutated photos: whatever stands in a file, there is a photo or one clear line.

500 here, and 210 of HEIC and DNG, each of which takes a process; ``MUTATIONS=20000 pytest
tests/imaging/test_mutations.py`` makes more.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging.io import read_header, read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo

from .containers.conftest import exif_block
from .containers.dngs import dng
from .containers.heics import heic

COUNT = int(os.environ.get("MUTATIONS", "500"))
ORIGINALS_COUNT = int(os.environ.get("MUTATIONS", "210"))
NAMES = (
    "a.png",
    "b.png",
    "a.jpg",
    "b.jpg",
    "a.tif",
    "b.tif",
    "a.webp",
    "b.webp",
    "a.avif",
    "b.avif",
)
SLOW = 2.0
"""Seconds of processor time that no small file may take."""
SLOWEST = 60.0
"""Seconds that none may take that goes through a process of its own, on a busy machine."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Sound photos of all kinds; those named b are deep, lossless, progressive or tiled."""
    folder = tmp_path_factory.mktemp("sound")
    rng = np.random.default_rng(1)
    smooth = np.add.outer(np.arange(24), np.arange(32))[:, :, None] * [3, 2, 4]
    pixels = (smooth + rng.integers(0, 9, (24, 32, 3))).astype(np.uint8)
    black = pyvips.Image.black(2, 2, bands=3).copy(interpretation="srgb")
    metadata = Metadata(
        exif=exif_block(t_271=b"Acme\0", t_274=1, t_33432=b"somebody\0"),
        xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:d="http://ns.adobe.com/hdr-gain-map/1.0/"/>',
        icc=bytes(black.icc_transform("p3").get("icc-profile-data")),
        iptc=b"\x1c\x02\x19\0\2kw",
        resolution=(10.0, 12.0),
        texts=(("Title", "a"), ("Comment", "b")),
    )
    for name in NAMES:
        path = folder / name
        deep = name.startswith("b") and path.suffix in (".png", ".tif")
        photo = Photo(
            pixels=pixels.astype(np.uint16) * 257 if deep else pixels,
            alpha=None
            if path.suffix == ".jpg"
            else pixels[:, :, 0].astype(np.uint16) * 257
            if deep
            else pixels[:, :, 0],
            metadata=metadata,
            is_lossless=name.startswith("b"),
        )
        write_photo(photo, path)
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")
    image.jpegsave(str(folder / "b.jpg"), interlace=True, restart_interval=2)
    return {name: (folder / name).read_bytes() for name in NAMES}


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with one to four places changed: overwritten, cut out, doubled, cut off."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, max(len(data) - 8, 1)) ** rng.choice([1.0, 0.7]))
        length = int(rng.integers(1, 9))
        kind = int(rng.integers(6))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + length] = rng.bytes(length)
        elif kind == 2:
            data[at : at + length] = bytes([int(rng.choice([0, 255, 127, 128]))]) * length
        elif kind == 3:
            del data[at : at + int(rng.integers(1, 200))]
        elif kind == 4:
            data[at:at] = data[at : at + int(rng.integers(1, 200))]
        elif rng.random() < 0.3:
            del data[max(at, 16) :]
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_a_mutated_photo_is_a_photo_or_one_line(
    sound: dict[str, bytes], name: str, tmp_path: Path
) -> None:
    path, control, copy = tmp_path / name, tmp_path / f"control-{name}", tmp_path / f"copy-{name}"
    control.write_bytes(sound[name])
    expected = read_photo(control).pixels
    rng = np.random.default_rng(sum(name.encode()))
    for number in range(COUNT // len(NAMES)):
        path.write_bytes(mutated(sound[name], rng))
        start = time.process_time()
        try:
            read_header(path)
            photo = read_photo(path, allow_damaged=bool(number % 2))
            write_photo(photo, copy)
            assert read_photo(copy).pixels.shape[:2] == photo.pixels.shape[:2]
        except PhotoError as error:
            _require_one_line(error)
        assert time.process_time() - start < SLOW, path
        if number % 25 == 0:
            assert np.array_equal(read_photo(control).pixels, expected)
    assert not list(tmp_path.glob(".*"))


@pytest.fixture(scope="module")
def originals() -> dict[str, bytes]:
    """Sound photos of phones and cameras."""
    rng = np.random.default_rng(1)
    smooth = np.add.outer(np.arange(24), np.arange(32))[:, :, None] * [3, 2, 4, 3]
    pixels = (smooth + rng.integers(0, 9, (24, 32, 4))).astype(np.uint8)
    block = exif_block(t_271=b"Acme\0", t_274=6)
    large = np.tile(pixels[:, :, :3], (6, 5, 1)).astype(np.uint16) * 257
    return {
        "a.heic": heic(pixels, exif=block, xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"),
        "b.heic": heic(large, bits=10, exif=block, tile_size=128),
        "a.dng": dng(pixels[:, :, :3] / 255, bits=12, black=64, white=4000, orientation=6),
    }


@pytest.mark.parametrize("name", ["a.heic", "b.heic", "a.dng"])
def test_a_mutated_original_is_a_photo_or_one_line(
    originals: dict[str, bytes], name: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    rng = np.random.default_rng(sum(name.encode()))
    outcomes = set()
    for number in range(ORIGINALS_COUNT // len(originals)):
        path.write_bytes(mutated(originals[name], rng))
        start = time.monotonic()
        try:
            header = read_header(path)
            assert read_photo(path, allow_damaged=bool(number % 2)).header == header
            outcomes.add("photo")
        except PhotoError as error:
            _require_one_line(error)
            outcomes.add("refused")
        assert time.monotonic() - start < SLOWEST, path
    assert outcomes == {"photo", "refused"}


def _require_one_line(error: Exception) -> None:
    text = str(error)
    assert text.isprintable()
    assert len(text) < 600
    assert ": " in text


def test_the_corpus_reaches_both_ends(sound: dict[str, Any], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    outcomes = set()
    for number in range(60):
        path = tmp_path / "a.png"
        path.write_bytes(mutated(sound[NAMES[number % len(NAMES)]], rng))
        try:
            read_photo(path)
            outcomes.add("photo")
        except PhotoError:
            outcomes.add("refused")
    assert outcomes == {"photo", "refused"}
