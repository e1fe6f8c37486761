"""HEVC (ITU-T H.265) as HEIC has it: whether its units are whole, and the colours that it names.

Nothing is decoded here.
"""

from __future__ import annotations

from collections.abc import Iterator

SEQUENCE_PARAMETERS = 33
"""The type of a unit that says of a picture what holds for all of it."""
NEVER = (b"\0\0\0", b"\0\0\1", b"\0\0\2")
"""What a unit can't contain: wherever its bits come to this, a 3 is put between."""
FULL_DESCRIPTION = 255
MOST_UNITS, MOST_PARAMETERS = 1 << 16, 1 << 12
MOST_SETS, MOST_REFERENCES = 64, 16
MOST_LAYERS = 7

Colours = tuple[int, int, int]
"""Primaries, transfer and matrix in H.273."""


def length_size(configuration: bytes) -> int:
    """The bytes of a unit's length, as ``hvcC`` says."""
    return (configuration[21] & 3) + 1


def fault(content: bytes, size: int) -> str | None:
    """What says that a coded picture isn't whole; None if nothing does.

    Bytes that were overwritten by others inside a unit can't be noticed, but for zeros.

    Args:
        content: units, each behind its length.
        size: the bytes of a length.
    """
    at, units = 0, 0
    while at < len(content):
        length = int.from_bytes(content[at : at + size], "big")
        at, units = at + size + length, units + 1
        if not length or at > len(content) or units > MOST_UNITS:
            return "the lengths in it don't fit"
        if any(content.find(each, at - length, at) >= 0 for each in NEVER):
            return "bytes of it are lost"
    return None if units else "it is empty"


def colours(configuration: bytes) -> Colours | None:
    """The colours that the sequence parameters in ``hvcC`` name; None if they name none.

    Raises ValueError if they are damaged.
    """
    for unit in _units(configuration):
        layer = (unit[0] & 1) << 5 | unit[1] >> 3
        if unit[0] >> 1 & 63 == SEQUENCE_PARAMETERS and layer == 0:
            return _usability(_Bits(unit[2:MOST_PARAMETERS].replace(b"\0\0\3", b"\0\0")))
    return None


def _units(configuration: bytes) -> Iterator[bytes]:
    """The units that stand in the configuration itself."""
    at = 23
    for _ in range(configuration[22]):
        count = int.from_bytes(configuration[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            end = at + 2 + int.from_bytes(configuration[at : at + 2], "big")
            if end > len(configuration) or end < at + 4:
                raise ValueError("the configuration of the decoder is cut")
            yield configuration[at + 2 : end]
            at = end


class _Bits:
    """Reads bits, the highest first; ValueError behind the last."""

    def __init__(self, content: bytes) -> None:
        self._value, self._left = int.from_bytes(content, "big"), 8 * len(content)

    def take(self, count: int = 1) -> int:
        """So many bits as a number."""
        if count > self._left:
            raise ValueError("sequence parameters are cut")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def code(self) -> int:
        """A number in the code of Exp-Golomb; a signed one is passed over alike."""
        zeros = 0
        while not self.take():
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def skip_codes(self, count: int) -> None:
        """Pass over numbers of that code."""
        for _ in range(count):
            self.code()


def _usability(bits: _Bits) -> Colours | None:
    """The colours in the video usability information, H.265 E.2.1, at the end of 7.3.2.2."""
    bits.take(4)
    layers = bits.take(3)
    bits.take(1)
    _skip_profile(bits, layers)
    bits.code()
    if bits.code() == 3:  # of chroma: as large as luma
        bits.take(1)
    bits.skip_codes(2)
    if bits.take():
        bits.skip_codes(4)
    bits.skip_codes(2)
    order_bits = bits.code() + 4
    bits.skip_codes(3 * (layers + 1 if bits.take() else 1))
    bits.skip_codes(6)
    if bits.take() and bits.take():
        _skip_scaling(bits)
    bits.take(2)
    if bits.take():
        bits.take(8)
        bits.skip_codes(2)
        bits.take(1)
    _skip_references(bits)
    if bits.take():
        for _ in range(bits.code()):
            bits.take(order_bits + 1)
    bits.take(2)
    return _named(bits) if bits.take() else None


def _named(bits: _Bits) -> Colours | None:
    if bits.take() and bits.take(8) == FULL_DESCRIPTION:  # of a pixel's shape
        bits.take(32)
    if bits.take():
        bits.take(1)
    if not bits.take():
        return None
    bits.take(4)
    return (bits.take(8), bits.take(8), bits.take(8)) if bits.take() else None


def _skip_profile(bits: _Bits, layers: int) -> None:
    """Pass over profile, tier and level, 7.3.3."""
    bits.take(96)
    if not layers:
        return
    if layers >= MOST_LAYERS:
        raise ValueError("sequence parameters of too many layers")
    told = [(bits.take(), bits.take()) for _ in range(8)]
    for profile, level in told[:layers]:
        bits.take(88 * profile + 8 * level)


def _skip_scaling(bits: _Bits) -> None:
    """Pass over the scaling lists, 7.3.4."""
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if bits.take():
                bits.skip_codes(min(64, 1 << (4 + 2 * size)) + (size > 1))
            else:
                bits.code()


def _skip_references(bits: _Bits) -> None:
    """Pass over the sets of reference pictures, 7.3.7; each may be told by the one before it."""
    count = bits.code()
    if count > MOST_SETS:
        raise ValueError("too many sets of reference pictures")
    before: list[int] = []
    for index in range(count):
        if index and bits.take():
            sign = -1 if bits.take() else 1
            before = _told_by_another(bits, before, sign * (bits.code() + 1))
        else:
            before = _told(bits)


def _told(bits: _Bits) -> list[int]:
    """How far the references lie off: those before the picture, then those behind."""
    counts = bits.code(), bits.code()
    if max(counts) > MOST_REFERENCES:
        raise ValueError("too many reference pictures")
    distances: list[int] = []
    for sign, number in zip((-1, 1), counts, strict=True):
        place = 0
        for _ in range(number):
            place += sign * (bits.code() + 1)
            bits.take(1)
            distances.append(place)
    return distances


def _told_by_another(bits: _Bits, before: list[int], shift: int) -> list[int]:
    kept = [each + shift for each in (*before, 0) if bits.take() or bits.take()]
    return sorted((d for d in kept if d < 0), reverse=True) + sorted(d for d in kept if d > 0)
