"""PNG: chunks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from mirnet.imaging import exif, icc
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers import cicp
from mirnet.imaging.containers.contents import MOST_BYTES, Contents, Part, UnusableError
from mirnet.imaging.metadata import PHOTOSHOP, Metadata, iptc_from_photoshop, iptc_to_photoshop

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""The chunks that say what the pixels are; all others describe them."""
COLOUR = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
TEXT = (b"tEXt", b"zTXt", b"iTXt")
XMP_KEYWORD = "XML:com.adobe.xmp"
RAW_PROFILE = "Raw profile type "
"""ImageMagick's keywords for blocks that PNG had no chunk for: hexadecimal, after two lines."""
RAW_PROFILES = ("exif", "APP1", "iptc", "8bim", "xmp", "icc", "icm")

MOST_CHUNKS = 1 << 20
LONG_TEXT = 1024
"""Bytes from which on a text is compressed."""


@dataclass(slots=True)
class _Found:
    parts: list[Part] = field(default_factory=lambda: [SIGNATURE])
    chunks: dict[bytes, bytes] = field(default_factory=dict)
    texts: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    room: int = MOST_BYTES
    """Bytes of metadata that may still come, unpacked."""


def inspect(data: Buffer) -> Contents:
    """What a PNG file holds. Raises UnusableError for an animation, HDR and linear light."""
    found = _Found()
    for kind, start, size in _chunks(data):
        if kind == b"acTL":
            raise UnusableError("is animated; extract the frame that you want")
        if kind in PIXELS:
            found.parts.append((start - 8, start + size + 4))
        elif kind in (*COLOUR, *TEXT, b"eXIf", b"pHYs"):
            _take(found, kind, data, start, size)
    blocks = dict(reversed(found.texts))  # the first of a keyword counts
    xmp = blocks.get(XMP_KEYWORD)
    raw = {name: _raw_profile(blocks.get(RAW_PROFILE + name)) for name in RAW_PROFILES}
    app1 = raw["APP1"] or b""
    block = found.chunks.get(b"eXIf") or raw["exif"]
    if block is None and app1.startswith(exif.PREFIX):
        block = app1
    block = block and block.removeprefix(exif.PREFIX)
    if b"iCCP" not in found.chunks and (profile := raw["icc"] or raw["icm"]):
        found.chunks[b"iCCP"] = b"icc\0\0" + zlib.compress(profile)
    known = {XMP_KEYWORD, *(RAW_PROFILE + name for name in RAW_PROFILES if raw[name])}
    metadata = Metadata(
        exif=block,
        xmp=xmp.encode() if xmp else raw["xmp"],
        icc=_profile(found, is_grey=_is_grey(data)),
        iptc=iptc_from_photoshop(raw["iptc"] or raw["8bim"] or b""),
        resolution=_resolution(found.chunks.get(b"pHYs")),
        texts=tuple(each for each in found.texts if each[0] not in known),
    )
    _require_enough(data, found.parts)
    left_out = ", ".join(dict.fromkeys(found.damaged))
    notes = (f"damaged metadata was left out ({left_out})",) if left_out else ()
    return Contents(
        parts=tuple(found.parts),
        metadata=metadata,
        orientation=exif.orientation(block),
        notes=notes,
    )


def _require_enough(data: Buffer, parts: list[Part]) -> None:
    """Refuse a header whose size the data can't fill: deflate packs at most 1032 to one."""
    header = data[16:29]
    if len(header) < 13:
        return
    width, height, bits, colour = struct.unpack(">LLBB3x", header)
    samples = {2: 3, 4: 2, 6: 4}.get(colour, 1)
    packed = sum(part[1] - part[0] for part in parts if not isinstance(part, bytes))
    if height * (width * samples * bits // 8) > 1032 * min(packed, len(data)) + 65536:
        raise UnusableError(
            f"is truncated or damaged: its data are too few for {width}×{height} pixels; get a "
            "fresh copy"
        )


def dress(bare: bytes, metadata: Metadata) -> tuple[bytes, tuple[str, ...]]:
    """A PNG file with this metadata; it holds all that there is."""
    pieces = [SIGNATURE]
    for kind, start, size in _chunks(bare):
        if kind in PIXELS:
            pieces.append(bare[start - 8 : start + size + 4])
        if kind == b"IHDR":
            pieces += _metadata_chunks(metadata)
    return b"".join(pieces), ()


def _chunks(data: Buffer) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's type, and where its content starts and how long it is."""
    at = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        head = data[at : at + 8]
        if len(head) < 8:
            return  # cut: the decoder will say so
        size, kind = struct.unpack(">L4s", head)
        yield kind, at + 8, size
        if kind == b"IEND":
            return
        at += size + 12


def _take(found: _Found, kind: bytes, data: Buffer, start: int, size: int) -> None:
    """Note the content of a chunk: of texts all, of others the first of its kind."""
    content = data[start : start + min(size, found.room + 1)]
    checksum = data[start + size : start + size + 4]
    if size > found.room or checksum != struct.pack(">L", zlib.crc32(kind + content)):
        found.damaged.append(kind.decode("ascii"))
        return
    found.room -= size
    if kind not in TEXT:
        found.chunks.setdefault(kind, content)
    elif text := _text(kind, content, found.room):
        found.room -= len(text[1])
        found.texts.append(text)
    else:
        found.damaged.append(kind.decode("ascii"))


def _text(kind: bytes, content: bytes, most: int) -> tuple[str, str] | None:
    """Keyword and text of a chunk; None if it is damaged or too large."""
    keyword, _, rest = content.partition(b"\0")
    encoding, is_compressed = "latin-1", kind == b"zTXt"
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        is_compressed, rest, encoding = rest[:1] == b"\1", rest[2:], "utf-8"
        for _ in ("language", "translated keyword"):
            rest = rest.partition(b"\0")[2]
    text = _inflated(rest, most) if is_compressed else rest
    try:
        return None if text is None else (keyword.decode("latin-1"), text.decode(encoding))
    except UnicodeDecodeError:
        return None


def _inflated(compressed: bytes, most: int) -> bytes | None:
    """What was compressed; None if it is damaged, or more than ``most`` bytes."""
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(compressed, most + 1)
    except zlib.error:
        return None
    return inflated if inflater.eof and len(inflated) <= most else None


def _raw_profile(text: str | None) -> bytes | None:
    """What stands in a raw profile: a line with a name, one with a length, hexadecimal digits."""
    try:
        return bytes.fromhex("".join((text or "").strip().splitlines()[2:])) or None
    except ValueError:
        return None


def _is_grey(data: Buffer) -> bool:
    return data[25:26] in (b"\0", b"\4")


def _profile(found: _Found, *, is_grey: bool) -> bytes | None:
    """The colours, by the first of cICP, iCCP, sRGB, and gAMA with cHRM, as PNG has it."""
    chunks = found.chunks
    if len(named := chunks.get(b"cICP", b"")) == 4:
        if named[2] != 0 or named[3] != 1:
            raise UnusableError(
                "holds colours of a narrow range or another matrix (cICP), which mirnet doesn't "
                "know; convert it to sRGB first"
            )
        return cicp.profile(named[0], named[1], is_grey=is_grey)
    if b"iCCP" in chunks:
        profile = _inflated(chunks[b"iCCP"].partition(b"\0")[2][1:], MOST_BYTES)
        if profile is None:
            found.damaged.append("iCCP")
        return profile
    if b"sRGB" in chunks:
        return None
    return _measured(chunks.get(b"gAMA"), chunks.get(b"cHRM"), is_grey=is_grey)


def _measured(gamma: bytes | None, chromaticities: bytes | None, *, is_grey: bool) -> bytes | None:
    """A profile from gAMA and cHRM; None where they are sRGB's."""
    curve, primaries, label = icc.SRGB_CURVE, icc.SRGB, ""
    if gamma is not None and len(gamma) == 4:
        exponent = int.from_bytes(gamma, "big") / 100_000
        if not 0.2 <= exponent < 0.9:
            raise UnusableError(
                f"holds linear light or an unusual curve (gAMA {exponent:g}), which mirnet can't "
                "restore; convert it to sRGB first"
            )
        if abs(exponent - 1 / 2.2) > 0.01:  # 1/2.2 is how old writers say sRGB
            curve, label = (1 / exponent,), f" gamma {1 / exponent:.3g}"
    if chromaticities is not None and len(chromaticities) == 32 and not is_grey:
        values = [value / 100_000 for value in struct.unpack(">8L", chromaticities)]
        if max(abs(a - b) for a, b in zip(values, icc.SRGB, strict=True)) > 0.002:
            primaries, label = tuple(values), label + " own primaries"
    if not label:
        return None
    if is_grey:
        return icc.grey_profile(curve, "PNG" + label)
    try:
        return icc.rgb_profile(primaries, curve, "PNG" + label)
    except ValueError as error:
        raise UnusableError(f"has a cHRM chunk that makes no sense ({error}); remove it") from error


def _resolution(content: bytes | None) -> tuple[float, float] | None:
    if content is None or len(content) != 9 or content[8] != 1:
        return None
    across, down = struct.unpack(">LL", content[:8])
    return (across / 1000, down / 1000) if across and down else None


def _metadata_chunks(metadata: Metadata) -> Iterator[bytes]:
    if metadata.icc:
        yield _chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc))
    if metadata.resolution:
        per_metre = (min(round(value * 1000), 2**31 - 1) for value in metadata.resolution)
        yield _chunk(b"pHYs", struct.pack(">LLB", *per_metre, 1))
    if metadata.exif:
        yield _chunk(b"eXIf", metadata.exif)
    if metadata.xmp:
        yield _chunk(b"iTXt", XMP_KEYWORD.encode() + bytes(5) + metadata.xmp)
    if metadata.iptc:
        block = iptc_to_photoshop(metadata.iptc).removeprefix(PHOTOSHOP)
        lines = f"\niptc\n{len(block):8}\n{block.hex()}\n"
        content = (RAW_PROFILE + "iptc").encode() + b"\0\0" + zlib.compress(lines.encode())
        yield _chunk(b"zTXt", content)
    for keyword, text in metadata.texts:
        yield _text_chunk(keyword.encode("latin-1", "replace"), text)


def _text_chunk(keyword: bytes, text: str) -> bytes:
    is_latin = all(ord(letter) < 256 for letter in text)
    content = text.encode("latin-1" if is_latin else "utf-8")
    if len(content) > LONG_TEXT:
        flags = b"\0\0" if is_latin else b"\0\1\0\0\0"
        kind, content = b"zTXt" if is_latin else b"iTXt", flags + zlib.compress(content)
    else:
        kind, content = (b"tEXt", b"\0" + content) if is_latin else (b"iTXt", bytes(5) + content)
    return _chunk(kind, keyword + content)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">L", len(content))
        + kind
        + content
        + struct.pack(">L", zlib.crc32(kind + content))
    )
