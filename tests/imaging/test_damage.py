from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.errors import PhotoError
from mirnet.imaging.damage import jpeg_fault
from mirnet.imaging.io import read_photo

PHOTO = Path(__file__).parents[2] / "examples" / "phone-night.png"
KINDS: list[dict[str, Any]] = [
    {}, {"interlace": True}, {"subsample_mode": "off"}, {"restart_interval": 4},
]  # fmt: skip


@pytest.fixture(scope="module")
def picture() -> Any:
    return pyvips.Image.new_from_file(str(PHOTO)).crop(100, 100, 160, 112).copy_memory()


@pytest.mark.parametrize("options", KINDS)
def test_cut_files_are_noticed_even_with_an_end_marker(
    picture: Any, options: dict[str, Any], tmp_path: Path
) -> None:
    sound = bytes(picture.jpegsave_buffer(Q=90, **options))
    assert jpeg_fault(sound) is None
    for kept in (0.3, 0.6, 0.9):
        cut = sound[: int(len(sound) * kept)]
        for end in (b"", b"\xff\xd9"):
            path = tmp_path / "a.jpg"
            path.write_bytes(cut + end)
            with pytest.raises(PhotoError, match=r"truncated or damaged .*; get a fresh copy$"):
                read_photo(path)
            left = read_photo(path, allow_damaged=True)
            assert left.notes[0].startswith("damaged (")
            assert left.pixels.shape == (112, 160, 3)


@pytest.mark.parametrize("options", KINDS)
def test_most_overwritten_bytes_are_noticed(picture: Any, options: dict[str, Any]) -> None:
    sound = bytes(picture.jpegsave_buffer(Q=90, **options))
    rng = np.random.default_rng(0)
    noticed = 0
    for _ in range(40):
        broken = bytearray(sound)
        at = int(rng.integers(len(sound) // 8, len(sound) - 200))
        broken[at : at + 8] = rng.bytes(8)
        noticed += jpeg_fault(bytes(broken)) is not None
    assert noticed >= 26  # docs/photos.md says how far it goes


def test_what_cameras_fill_up_with_is_no_damage(picture: Any) -> None:
    sound = bytes(picture.jpegsave_buffer(Q=90))
    for filling in (bytes(64), b"\xff" * 63 + b"\0"):
        assert jpeg_fault(sound[:-2] + filling + sound[-2:]) is None
    assert jpeg_fault(sound[:-2] + b"something else" + sound[-2:]) is not None


def test_grey_is_no_damage(picture: Any) -> None:
    assert jpeg_fault(bytes(picture.colourspace("b-w").jpegsave_buffer())) is None


def test_what_follows_the_photo_is_no_damage(picture: Any) -> None:
    assert jpeg_fault(bytes(picture.jpegsave_buffer()) + b"a video" * 1000) is None
