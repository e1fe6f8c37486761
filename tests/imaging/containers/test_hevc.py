from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mirnet.imaging.containers import hevc
from mirnet.imaging.containers.boxes import read_meta

from .heics import heic


class Written:
    """Writes sequence parameters bit by bit, in the order of ITU-T H.265, 7.3.2.2."""

    def __init__(self) -> None:
        self.bits = ""

    def put(self, width: int, value: int) -> None:
        self.bits += format(value, f"0{width}b")

    def codes(self, *values: int) -> None:
        for value in values:
            self.bits += format(value + 1, "b").rjust(2 * (value + 1).bit_length() - 1, "0")

    def unit(self, layer: int = 0) -> bytes:
        padded = self.bits + "1" + "0" * (-(len(self.bits) + 1) % 8)
        content = int(padded, 2).to_bytes(len(padded) // 8, "big")
        escaped = bytearray()
        for value in content:  # a 3 goes between two zeros and what would be a sign
            escaped += b"\3" if escaped[-2:] == b"\0\0" and value < 4 else b""
            escaped.append(value)
        return (33 << 9 | layer << 3 | 1).to_bytes(2, "big") + escaped


def write_layers(w: Written, layers: int) -> None:
    for each in range(8):
        w.put(2, 3 if each < layers else 0)
    for _ in range(layers):
        w.put(96, 0x5A)


def write_lists(w: Written) -> None:
    w.put(1, 1)
    for size in range(4):
        for matrix in range(2 if size == 3 else 6):
            w.put(1, matrix % 2)
            w.codes(*[0] if not matrix % 2 else [7] * (min(64, 16 << 2 * size) + (size > 1)))


def write_sets(w: Written) -> None:
    w.codes(3, 1, 1, 0)  # one before, one behind: at -1 and 3
    w.put(1, 1)
    w.codes(2)
    w.put(1, 0)
    w.put(2, 0b11)  # by the one before, shifted by -3: -4, 0 and -3, of which 0 falls away
    w.codes(2)
    w.bits += "1" + "01" + "1"
    w.put(2, 0b10)  # shifted by 1: -2, -3 and 1 of two and itself, of which -3 isn't kept
    w.codes(0)
    w.bits += "1" + "00" + "01"


def parameters(
    *, layers: int = 0, scaling: bool = False, pcm: bool = False, sets: bool = False,
    far: bool = False, shape: int | None = None, colours: tuple[int, int, int] | None = (9, 16, 9),
) -> bytes:  # fmt: skip
    """Of a picture of 64×64 that has what is told."""
    w = Written()
    w.put(8, layers << 1 | 1)
    for value in (0x03, 0x70000000 >> 1, 0):  # profile and level
        w.put(32, value)
    if layers:
        write_layers(w, layers)
    w.codes(0, 3)
    w.put(1, 0)
    w.codes(64, 64)
    w.put(1, 1)
    w.codes(0, 1, 2, 3, 2, 2, 4)
    w.put(1, int(layers > 0))
    w.codes(*(1, 0, 0) * (layers + 1), 0, 3, 0, 3, 0, 0)
    w.put(1, int(scaling))
    if scaling:
        write_lists(w)
    w.put(2, 3)
    w.put(1, int(pcm))
    if pcm:
        w.put(8, 0x77)
        w.codes(0, 0)
        w.put(1, 1)
    if sets:
        write_sets(w)
    else:
        w.codes(0)
    w.put(1, int(far))
    if far:
        w.codes(2)
        w.put(18, 0x2F001)  # two of 8 bits and one
    w.put(2, 3)
    w.put(1, 1)
    w.put(1, int(shape is not None))
    if shape is not None:
        w.put(8, shape)
        if shape == 255:
            w.put(32, 0x00400021)
    w.put(2, 0b10)
    w.put(1, 1)
    w.put(4, 0b1011)
    w.put(1, int(colours is not None))
    for each in colours or ():
        w.put(8, each)
    w.put(40, 0)
    return w.unit()


def configured(*units: bytes) -> bytes:
    arrays = b"".join(
        bytes((unit[0] >> 1, 0, 1)) + len(unit).to_bytes(2, "big") + unit for unit in units
    )
    return bytes(21) + bytes((3, len(units))) + arrays


@pytest.mark.parametrize(
    "told",
    [
        {}, {"layers": 2}, {"scaling": True}, {"pcm": True}, {"sets": True}, {"far": True},
        {"shape": 1}, {"shape": 255}, {"colours": (12, 13, 6)}, {"colours": None},
        {"layers": 6, "scaling": True, "pcm": True, "sets": True, "far": True, "shape": 255},
    ],
)  # fmt: skip
def test_colours_are_found_behind_whatever_stands_before(told: dict[str, Any]) -> None:
    unit = parameters(**told)
    expected = told.get("colours", (9, 16, 9))
    assert hevc.colours(configured(b"\x40\x01\x0c\x01", unit)) == expected
    for end in (3, 12, 20):
        with pytest.raises(ValueError, match="cut"):
            hevc.colours(configured(unit[:end]))


def test_other_layers_and_none_at_all_name_no_colours() -> None:
    other = Written()
    other.put(32, 0)
    assert hevc.colours(configured(other.unit(layer=1), parameters())) == (9, 16, 9)
    assert hevc.colours(configured()) is None


@pytest.mark.parametrize("count", [65, 1 << 20])
def test_parameters_out_of_all_proportion_are_refused(count: int) -> None:
    plain = Written()
    plain.put(8, 7 << 1)
    with pytest.raises(ValueError, match="cut"):
        hevc.colours(configured(plain.unit()))
    many = Written()
    many.put(104, 1)
    many.codes(0, 1, 64, 64)
    many.put(1, 0)
    many.codes(0, 0, 4)
    many.put(1, 0)
    many.codes(1, 0, 0, 0, 3, 0, 3, 0, 0)
    many.put(4, 0)
    many.codes(count)
    with pytest.raises(ValueError, match="too many sets"):
        hevc.colours(configured(many.unit()))


@pytest.mark.parametrize("named", [(9, 16, 9), (12, 13, 6), (1, 8, 1)])
def test_x265_s_colours_are_found(named: tuple[int, int, int]) -> None:
    primaries, transfer, matrix = named
    pixels = np.full((30, 40, 3), 20000, np.uint16)
    content = heic(
        pixels, bits=10, color_primaries=primaries, transfer_characteristics=transfer,
        matrix_coefficients=matrix, full_range_flag=1,
    )  # fmt: skip
    meta = read_meta(content)
    (box,) = (each for each in meta.properties_of(meta.primary) if each.kind == b"hvcC")
    assert hevc.colours(content[box.start : box.end]) == named


def test_units_fill_what_holds_them() -> None:
    unit = b"\x26\x01" + bytes(range(1, 99))
    for size in (1, 2, 4):
        whole = (len(unit).to_bytes(size, "big") + unit) * 3
        assert hevc.fault(whole, size) is None
        assert hevc.fault(whole[:-1], size) == "the lengths in it don't fit"
        assert hevc.fault(whole[: len(unit)] + whole[len(unit) + 9 :], size) is not None
        assert hevc.fault(whole + bytes(size), size) == "the lengths in it don't fit"
        assert hevc.fault(bytes(len(whole)), size) == "the lengths in it don't fit"
        for hole in (b"\0\0\0", b"\0\0\1", b"\0\0\2"):
            assert hevc.fault(whole.replace(b"\x20\x21\x22", hole), size) == "bytes of it are lost"
        assert hevc.fault(whole.replace(b"\x20\x21\x22", b"\0\0\3"), size) is None
    assert hevc.fault(b"", 4) == "it is empty"
    assert hevc.fault(b"\1x" * (1 << 17), 1) == "the lengths in it don't fit"
