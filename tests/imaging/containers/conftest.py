"""Photos as bytes, and files built by hand."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from mirnet.imaging.directories import Directory, Field
from mirnet.imaging.exif import from_directory
from mirnet.imaging.photo import Photo


@pytest.fixture
def image() -> Any:
    """A smooth picture of 40×30 as a libvips image."""
    rows, columns, channels = np.meshgrid(
        np.linspace(0, 1, 30), np.linspace(0, 1, 40), np.arange(3) / 3, indexing="ij"
    )
    pixels = (40 + 120 * rows * columns + 60 * channels).astype(np.uint8)
    return pyvips.Image.new_from_array(pixels).copy(interpretation="srgb")


@pytest.fixture
def save(tmp_path: Path) -> Callable[[bytes, str], Path]:
    """Writes bytes into a file."""

    def write(content: bytes, name: str) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return (
        struct.pack(">L", len(content)) + kind + content
        + struct.pack(">L", zlib.crc32(kind + content))
    )  # fmt: skip


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks after its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """A JPEG with segments after its first marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def exif_block(**values: int | bytes) -> bytes:
    """An EXIF block whose main directory has these fields: t_271=b"Acme", t_274=6."""
    fields = {}
    for name, value in values.items():
        tag = int(name.removeprefix("t_"))
        if isinstance(value, int):
            fields[tag] = Field(3, 1, struct.pack("<H", value))
        else:
            fields[tag] = Field(2, len(value), value)
    return from_directory(Directory(fields))


def exif_values(photo: Photo) -> dict[str, str]:
    """EXIF as libvips understands it, after a detour through a JPEG."""
    blank = pyvips.Image.new_from_array(np.zeros((2, 2, 3), np.uint8)).copy(interpretation="srgb")
    jpeg = with_segments(
        blank.jpegsave_buffer(keep="none"),
        segment(0xE1, b"Exif\0\0" + (photo.metadata.exif or b"")),
    )
    read = pyvips.Image.new_from_buffer(jpeg, "")
    return {
        name.split("-")[2]: read.get(name).split(" (")[0]
        for name in read.get_fields()
        if name.startswith("exif-ifd")
    }
