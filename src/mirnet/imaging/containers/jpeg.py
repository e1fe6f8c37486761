"""JPEG: segments."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator

from mirnet.imaging import exif, xmp
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers.contents import Contents, Part, UnusableError
from mirnet.imaging.metadata import PHOTOSHOP, Metadata, iptc_from_photoshop, iptc_to_photoshop

APP0, APP1, APP2, APP13, APP14, APP15, COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE
START_OF_SCAN, END = 0xDA, 0xD9
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start of frame, by the kind of coding."""
LOSSLESS_FRAMES, HIERARCHICAL_FRAMES = (0xC3, 0xC7, 0xCB, 0xCF), (0xC5, 0xC6, 0xCD, 0xCE)

XMP = b"http://ns.adobe.com/xap/1.0/\0"
XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
ICC = b"ICC_PROFILE\0"
JFIF = b"JFIF\0"
MULTI_PICTURE = b"MPF\0"
MOST_SEGMENT = 65533
"""Bytes of a segment's content."""
MOST_SEGMENTS = 4096
ICC_PIECE = MOST_SEGMENT - len(ICC) - 2
PER_MILLIMETRE = {1: 1 / 25.4, 2: 1 / 10}


def inspect(data: Buffer) -> Contents:
    """What a JPEG file holds. Raises UnusableError for what no decoder here reads."""
    parts: list[Part] = [b"\xff\xd8"]
    found: dict[int, list[bytes]] = {APP0: [], APP1: [], APP2: [], APP13: [], COMMENT: []}
    for marker, start, end in _segments(data):
        if marker in FRAMES:
            _require_usual(marker, data[start : start + 1])
        if marker == START_OF_SCAN:
            parts.append((start - 4, len(data)))
        elif marker in found:
            found[marker].append(data[start:end])
        elif not APP0 <= marker <= APP15 or marker == APP14:
            parts.append((start - 4, end))
    jfif = next((content for content in found[APP0] if content.startswith(JFIF)), None)
    if jfif is not None:
        # Anew: an odd version would be a warning, and hide those that tell of damage.
        parts.insert(1, _jfif(None))
    block = _first(found[APP1], exif.PREFIX)
    packet, notes = _xmp(found[APP1])
    profile, missing = _icc(found[APP2])
    photoshop = b"".join(
        content.removeprefix(PHOTOSHOP) for content in found[APP13] if content.startswith(PHOTOSHOP)
    )
    comments = tuple(("Comment", _text(each)) for each in found[COMMENT])
    if any(each.startswith(MULTI_PICTURE) for each in found[APP2]):
        notes += ("previews behind the photo (MPF) were left out",)
    metadata = Metadata(
        exif=block,
        xmp=packet,
        icc=profile,
        iptc=iptc_from_photoshop(photoshop),
        resolution=_density(jfif),
        texts=comments,
    )
    return Contents(
        parts=tuple(parts),
        metadata=metadata,
        orientation=exif.orientation(block),
        notes=notes + missing,
    )


def dress(bare: bytes, metadata: Metadata) -> tuple[bytes, tuple[str, ...]]:
    """A JPEG file with this metadata, and what it can't hold."""
    kept: list[bytes] = []
    for marker, start, end in _segments(bare):
        if marker == START_OF_SCAN:
            kept.append(bare[start - 4 :])
        elif not APP0 <= marker <= APP15 or marker == APP14:
            kept.append(bare[start - 4 : end])
    segments = [_jfif(metadata.resolution)]
    unheld = [f"the text {keyword}" for keyword, _ in metadata.texts if keyword != "Comment"]
    comments = [text.encode() for keyword, text in metadata.texts if keyword == "Comment"]
    wanted = [
        ("EXIF", APP1, metadata.exif and exif.PREFIX + metadata.exif),
        ("IPTC", APP13, metadata.iptc and iptc_to_photoshop(metadata.iptc)),
        *(("the comment", COMMENT, comment) for comment in comments),
    ]
    for name, marker, content in wanted:
        if content and len(content) > MOST_SEGMENT:
            unheld.append(f"{name} of more than 64 kB")
        elif content:
            segments.append(_segment(marker, content))
    segments += _xmp_segments(metadata.xmp or b"")
    profile = metadata.icc or b""
    if len(profile) > 255 * ICC_PIECE:
        unheld.append("a colour profile of more than 16 MB")
    else:
        segments += _icc_segments(profile)
    notes = tuple(f"{name} can't be held by JPEG; left out" for name in unheld)
    return b"".join([b"\xff\xd8", *segments, *kept]), notes


def _segments(data: Buffer) -> Iterator[tuple[int, int, int]]:
    """Markers up to the first scan, and where the content of each stands."""
    at = 2
    for _ in range(MOST_SEGMENTS):
        head = data[at : at + 4]
        if len(head) < 4 or head[0] != 0xFF:
            raise UnusableError("is truncated or damaged in its header; get a fresh copy")
        if head[1] in (0xFF, 0x01, *range(0xD0, 0xD9)):  # padding, or a marker that stands alone
            at += 1 if head[1] == 0xFF else 2
            continue
        if head[1] == END:
            break
        size = struct.unpack(">H", head[2:])[0]
        if size < 2 or at + 2 + size > len(data):
            raise UnusableError("is truncated or damaged in its header; get a fresh copy")
        yield head[1], at + 4, at + 2 + size
        if head[1] == START_OF_SCAN:
            return
        at += 2 + size
    raise UnusableError("is truncated or damaged: no picture follows its header; get a fresh copy")


def _text(comment: bytes) -> str:
    """A comment; the standard names no encoding."""
    try:
        return comment.decode("utf-8")
    except UnicodeDecodeError:
        return comment.decode("latin-1")


def _require_usual(marker: int, precision: bytes) -> None:
    kinds = {LOSSLESS_FRAMES: "a lossless JPEG", HIERARCHICAL_FRAMES: "a hierarchical JPEG"}
    kind = next((name for markers, name in kinds.items() if marker in markers), None)
    if kind is None and precision != b"\x08":
        kind = f"a JPEG of {precision[0] if precision else 0} bits"
    if kind:
        raise UnusableError(f"is {kind}, which mirnet can't read; save it as TIFF or PNG first")


def _first(contents: list[bytes], prefix: bytes) -> bytes | None:
    return next((each.removeprefix(prefix) for each in contents if each.startswith(prefix)), None)


def _xmp(contents: list[bytes]) -> tuple[bytes | None, tuple[str, ...]]:
    """The XMP packet, with its extension if it has one."""
    packet = _first(contents, XMP)
    pieces: dict[int, bytes] = {}
    for content in contents:
        # After the prefix: an MD5 in 32 digits, the length of all, the place of this piece.
        if packet and content.startswith(XMP_EXTENSION):
            head = content[len(XMP_EXTENSION) : len(XMP_EXTENSION) + 40]
            if len(head) == 40 and head[:32] in packet:
                pieces[int.from_bytes(head[36:], "big")] = content[len(XMP_EXTENSION) + 40 :]
    if packet is None or not pieces:
        return packet, ()
    whole = xmp.joined(packet, b"".join(pieces[at] for at in sorted(pieces)))
    if whole is None:
        return packet, ("extended XMP that is damaged or too large was left out",)
    return whole, ()


def _icc(contents: list[bytes]) -> tuple[bytes | None, tuple[str, ...]]:
    """The colour profile from its numbered pieces."""
    pieces = {each[12]: each for each in contents if each.startswith(ICC) and len(each) > 14}
    if not pieces:
        return None, ()
    count = next(iter(pieces.values()))[13]
    if sorted(pieces) != list(range(1, count + 1)):
        return None, ("damaged metadata was left out (a colour profile with a piece missing)",)
    return b"".join(pieces[number][14:] for number in sorted(pieces)), ()


def _density(jfif: bytes | None) -> tuple[float, float] | None:
    if jfif is None or len(jfif) < 12:
        return None
    unit, across, down = struct.unpack_from(">BHH", jfif, 7)
    factor = PER_MILLIMETRE.get(unit)
    return (across * factor, down * factor) if factor and across and down else None


def _jfif(resolution: tuple[float, float] | None) -> bytes:
    """The JFIF header, with a resolution in whole dots per inch or centimetre, or none."""
    unit, across, down = 0, 1, 1
    error = 1.0
    for candidate, factor in PER_MILLIMETRE.items() if resolution else ():
        exact = [value / factor for value in resolution or ()]
        rounded = [min(max(round(value), 1), 65535) for value in exact]
        distance = max(abs(a / b - 1) for a, b in zip(exact, rounded, strict=True))
        if distance < error:
            error, unit, (across, down) = distance, candidate, rounded
    return _segment(APP0, JFIF + struct.pack(">BBBHHBB", 1, 1, unit, across, down, 0, 0))


def _xmp_segments(packet: bytes) -> Iterator[bytes]:
    if not packet:
        return
    if len(XMP) + len(packet) <= MOST_SEGMENT:
        yield _segment(APP1, XMP + packet)
        return
    digest = hashlib.md5(packet, usedforsecurity=False).hexdigest().upper()
    yield _segment(APP1, XMP + xmp.pointing_to(digest))
    step = MOST_SEGMENT - len(XMP_EXTENSION) - 40
    for at in range(0, len(packet), step):
        place = digest.encode() + struct.pack(">LL", len(packet), at)
        yield _segment(APP1, XMP_EXTENSION + place + packet[at : at + step])


def _icc_segments(profile: bytes) -> Iterator[bytes]:
    pieces = [profile[at : at + ICC_PIECE] for at in range(0, len(profile), ICC_PIECE)]
    for number, piece in enumerate(pieces, 1):
        yield _segment(APP2, ICC + bytes([number, len(pieces)]) + piece)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content
