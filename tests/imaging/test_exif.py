from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirnet.imaging import exif
from mirnet.imaging.directories import Directory, Field, Layout, Reader, serialize


def short(value: int) -> Field:
    return Field(3, 1, struct.pack("<H", value))


def with_thumbnail(directory: Directory, thumbnail: bytes, after: bytes = b"") -> bytes:
    """A block whose main directory is followed by that of a thumbnail."""
    block = bytearray(exif.from_directory(directory))
    link = 8 + 2 + 12 * len(directory.fields)
    struct.pack_into("<L", block, link, len(block))
    start = len(block) + 2 + 12 * 2 + 4
    second = {
        0x201: Field(4, 1, struct.pack("<L", start)),
        0x202: Field(4, 1, struct.pack("<L", len(thumbnail))),
    }
    return bytes(block) + serialize(Directory(second), len(block)) + thumbnail + after


def test_a_thumbnail_is_cut_off_or_wiped_and_nothing_moves() -> None:
    directory = Directory({0x10F: Field(2, 6, b"Camera"), 0x112: short(6)})
    for after in (b"", b"a maker note that is found by its place"):
        block = with_thumbnail(directory, b"\xff\xd8 the photo as it was", after)
        settled = exif.settled(block, 10, 20)
        assert b"as it was" not in settled
        assert settled.endswith(after)
        assert settled.index(b"Camera") == block.index(b"Camera")
        main = Reader(settled).main()
        assert main.fields[0x112].numbers() == (1,)
        assert list(Reader(settled).following()) == []
        assert exif.settled(settled, 10, 20) == settled


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_thumbnail_in_strips_is_wiped_and_nothing_else(order: str) -> None:
    """Its fields hold offsets, or where a list of offsets stands."""
    directory = Directory({0x10F: Field(2, 6, b"Camera")}, {0x8769: Directory({0x9003: short(7)})})
    main = serialize(directory, 8, Layout(order))
    start = 8 + len(main)
    pixels = start + 2 + 12 * 2 + 4 + 8 + 4
    strips = {
        0x111: Field(4, 2, struct.pack("<LL", pixels, pixels + 10)),
        0x117: Field(3, 2, struct.pack("<HH", 10, 6)),
    }
    second = serialize(Directory(strips), start, Layout(order))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    block = bytearray(
        head + main + second.ljust(pixels - start, b"\0") + b"old pixels here!" + b"rest"
    )
    link = 8 + 2 + 12 * 2
    struct.pack_into(order + "L", block, link, start)
    settled = exif.settled(bytes(block), 5, 5)
    assert b"old pixels" not in settled
    assert settled.endswith(b"rest")
    assert Reader(settled).main() == directory


def test_a_pointer_to_nowhere_moves_no_maker_note() -> None:
    note = Field(7, 40, b"a maker note that is found by its place..")
    block = bytearray(
        exif.from_directory(
            Directory({0x10F: Field(2, 9, b"Somebody\0")}, {0x8769: Directory({0x927C: note})})
        )
    )
    struct.pack_into("<L", block, 10 + 8, 1 << 30)
    assert exif.repaired(bytes(block)) == (bytes(block), ())


def test_sizes_follow_the_photo_whatever_their_type() -> None:
    inner = Directory({0xA002: short(40), 0xA003: Field(4, 1, struct.pack("<L", 30))})
    block = exif.from_directory(Directory({0x100: short(40), 0x101: short(30)}, {0x8769: inner}))
    main = Reader(exif.settled(block, 70_000, 50)).main()
    assert main.fields[0x100].numbers() == (50,)
    assert main.fields[0x101].numbers() == (70_000,)
    assert main.children[0x8769].fields[0xA002].numbers() == (50,)
    assert main.children[0x8769].fields[0xA003].numbers() == (70_000,)


@pytest.mark.parametrize("count", [0, 1, 9])
def test_resolution_is_in_pixels_per_millimetre(count: int) -> None:
    def field(value: int) -> Field:
        return Field(5, 1, struct.pack("<LL", value, 1))

    units = {0: None, 1: 2, 9: 3}
    fields = {0x11A: field(254), 0x11B: field(508)}
    unit = units[count]
    if unit is not None:
        fields[0x128] = short(unit)
    expected = (25.4, 50.8) if unit == 3 else (10, 20)
    assert exif.resolution(Directory(fields)) == pytest.approx(expected)
    assert exif.resolution(Directory()) is None


def fan(levels: int = 3, width: int = 40) -> bytes:
    """Directories that point to each other many times over."""
    start, size = 8, 2 + 12 * width + 4
    block = b"II*\0" + struct.pack("<L", start)
    for level in range(levels):
        below = start + size * min(level + 1, levels - 1)
        entry = struct.pack("<HHLL", 0x8769, 4, 1, below)
        block += struct.pack("<H", width) + entry * width + bytes(4)
    return block


def nested(depth: int = 4000) -> bytes:
    block = b"II*\0" + struct.pack("<L", 8)
    for level in range(depth):
        block += struct.pack("<HHHLL", 1, 0x8769, 4, 1, 8 + 18 * (level + 1)) + bytes(4)
    return block


def wide() -> bytes:
    entries = b"".join(struct.pack("<HHLL", tag, 1, 60_000, 8) for tag in range(60_000))
    return b"II*\0" + struct.pack("<LH", 8, 60_000) + entries + bytes(4)


def large() -> bytes:
    field = struct.pack("<HHLL", 0x927C, 3, 8 << 20, 26) + bytes(4)
    return (
        b"MM\0*"
        + struct.pack(">LHHHLL", 8, 1, 0x927C, 3, 8 << 20, 26)
        + bytes(len(field) + (16 << 20))
    )


@pytest.mark.parametrize("made", [fan, nested, wide, large])
def test_no_block_costs_more_than_a_second(made: Callable[[], bytes]) -> None:
    block = made()
    start = time.process_time()
    repaired, _ = exif.repaired(block)
    if repaired is not None:
        exif.settled(repaired, 5, 5)
        assert len(repaired) <= max(len(block), 64 << 20)
    assert time.process_time() - start < 1


def test_what_points_to_itself_is_rebuilt_without_it() -> None:
    repaired, faults = exif.repaired(fan())
    assert repaired is not None
    assert faults == (0x8769,)
    assert exif.repaired(repaired) == (repaired, ())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_bearable(tail: bytes, is_little: bool) -> None:
    head = b"II*\0\x08\0\0\0" if is_little else b"MM\0*\0\0\0\x08"
    for block in (tail, head + tail):
        repaired, _ = exif.repaired(block)
        settled = exif.settled(repaired or block, 3, 4)
        assert exif.orientation(settled) in range(1, 9)
        if repaired is not None:
            assert exif.repaired(repaired)[0] is not None
