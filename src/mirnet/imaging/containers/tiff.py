"""TIFF: directories."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import islice

from mirnet.imaging import exif
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers.contents import ONE_PICTURE, Contents, Part, UnusableError
from mirnet.imaging.directories import LONG, UNDEFINED, Directory, Field, Layout, Reader, serialize
from mirnet.imaging.metadata import Metadata, iptc_from_photoshop

SUBFILE, COMPRESSION, PHOTOMETRIC, SAMPLES = 254, 259, 262, 277
SUBDIRECTORIES, EXTRA_SAMPLES, XMP, IPTC, PHOTOSHOP = 330, 338, 700, 33723, 34377
ICC, LAYERS, DNG_VERSION = 34675, 37724, 50706

PIXELS = frozenset((
    *range(254, 270), *range(273, 285), *range(288, 298), 317, *range(320, 348), *range(512, 533),
    559,
)) - {269, 285, 286, 287, exif.ORIENTATION, SUBDIRECTORIES}  # fmt: skip
"""Fields that say how the file stores its pixels."""
STRUCTURE = PIXELS | {exif.ORIENTATION, SUBDIRECTORIES, XMP, IPTC, PHOTOSHOP, ICC, LAYERS}
"""These, and fields that have a place of their own in `Metadata`; all others describe the photo."""

UNREADABLE = {
    34661: "JBIG", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
    50002: "JPEG XL", 52546: "JPEG XL", 6: "old-style JPEG", 34712: "JPEG 2000",
}  # fmt: skip
"""Compressions that the decoder doesn't have."""
PLACES = (("strips", 273, 279), ("tiles", 324, 325))
"""Where the pixels stand: offsets and lengths."""
LAB = (8, 9, 10)
WHITE_IS_ZERO, YCBCR = 0, 6
JPEG_COMPRESSED = (6, 7)
SAMPLE_FORMAT, FLOAT = 339, 3
PLANAR, SEPARATE, TILE_WIDTH = 284, 2, 322
"""CIE L*a*b*, and ICC's and ITU's forms of it."""
COLOUR_FILTER_ARRAY, LINEAR_RAW = 32803, 34892
REDUCED = 1
TELLING_RAW = frozenset((SUBFILE, PHOTOMETRIC, SUBDIRECTORIES, DNG_VERSION))
ASSOCIATED, UNASSOCIATED = 1, 2
BIG_TYPES = (16, 17, 18)
MOST_FIELD = 1 << 20
"""Bytes of a private field that is carried; larger ones hold pictures and layers."""


def inspect(data: Buffer, view: int | None = None) -> Contents:
    """What a TIFF file holds. Raises UnusableError for what no decoder here reads.

    Args:
        data: the file.
        view: which of its two pages, 0 or 1; without, it must have one.
    """
    try:
        reader = Reader(data, most=MOST_FIELD, unlimited=PIXELS | {XMP, IPTC, PHOTOSHOP, ICC})
        main = reader.main()
        further = _further_pages(data)
        if view == 1 and further:
            main = next(islice(reader.following(), further[0], None))
    except ValueError as error:
        raise UnusableError(f"is truncated or damaged ({error}); get a fresh copy") from error
    if view is not None and not further:
        raise UnusableError(ONE_PICTURE)
    if len(further) != (view is not None):
        raise UnusableError("holds several pages; extract the one that you want")
    if lost := PIXELS.intersection(reader.faults):
        raise UnusableError(f"is truncated or damaged (tag {min(lost)}); get a fresh copy")
    compression = _number(main, COMPRESSION, 1)
    if compression in UNREADABLE:
        raise UnusableError(
            f"is compressed with {UNREADABLE[compression]}, which mirnet can't read; save it with "
            "deflate or LZW"
        )
    _require_readable_colours(main, compression)
    _require_known_samples(main)
    block, unfit = _exif(main)
    photoshop = _bytes(main, PHOTOSHOP)
    metadata = Metadata(
        exif=block,
        xmp=_bytes(main, XMP),
        icc=_bytes(main, ICC),
        iptc=_bytes(main, IPTC) or (iptc_from_photoshop(photoshop) if photoshop else None),
        resolution=exif.resolution(main),
    )
    return Contents(
        parts=_bare(data, main, reader.layout),
        head=_head(data, main, reader.layout),
        metadata=metadata,
        orientation=exif.known_orientation(_number(main, exif.ORIENTATION, 1)),
        damage=missing_pieces(main, len(data)),
        notes=_notes(main, [*reader.faults, *unfit], reader.large),
    )


def dress(bare: bytes, metadata: Metadata) -> tuple[bytes, tuple[str, ...]]:
    """A TIFF file with this metadata, and what it can't hold.

    Args:
        bare: a whole little-endian file with one page.
        metadata: what to add.
    """
    reader = Reader(bare)
    main, layout = reader.main(), reader.layout
    for tag in (exif.X_RESOLUTION, exif.Y_RESOLUTION, exif.RESOLUTION_UNIT):
        main.fields.pop(tag, None)  # the encoder invents one
    notes = [f"the text {name} can't be held by TIFF; left out" for name, _ in metadata.texts]
    added = exif.main_directory(metadata.exif)
    fields = _described(added) | main.fields | exif.resolution_fields(metadata.resolution)
    for tag, content in ((XMP, metadata.xmp), (IPTC, metadata.iptc), (ICC, metadata.icc)):
        if content:
            fields[tag] = Field(UNDEFINED, len(content), content)
    # Appended, with the header pointing there, so that the offsets of the pixels stay true.
    start = len(bare) + len(bare) % 2
    directory = serialize(Directory(fields, added.children), start, layout)
    head = bare[: layout.start] + struct.pack(layout.offset, start)
    return b"".join([head, bare[len(head) :].ljust(start - len(head), b"\0"), directory]), tuple(
        notes
    )


def _bare(data: Buffer, main: Directory, layout: Layout) -> tuple[Part, ...]:
    """The file with a new main directory behind it that tells of the pixels alone.

    So decoders don't stumble over fields that they don't know, or that are out of order.
    """
    start = len(data) + len(data) % 2
    if start >= 1 << 32 and not layout.is_big:
        raise UnusableError("is larger than TIFF allows; save it as BigTIFF")
    fields = {tag: entry for tag, entry in main.fields.items() if tag in PIXELS}
    head = data[0 : layout.start] + struct.pack(layout.offset, start)
    padding = bytes(start - len(data))
    return head, (len(head), len(data)), padding, serialize(Directory(fields), start, layout)


def _head(data: Buffer, main: Directory, layout: Layout) -> bytes:
    """The header and the new main directory alone."""
    start = layout.start + struct.calcsize(layout.offset)
    fields = {tag: entry for tag, entry in main.fields.items() if tag in PIXELS}
    head = data[0 : layout.start] + struct.pack(layout.offset, start)
    return head + serialize(Directory(fields), start, layout)


def missing_pieces(main: Directory, size: int) -> str | None:
    """What says that strips or tiles lie beyond the end of a file of this size."""
    for name, offsets, lengths in PLACES:
        if offsets in main.fields and lengths in main.fields:
            starts, sizes = main.fields[offsets].numbers(), main.fields[lengths].numbers()
            cut = sum(a + b > size for a, b in zip(starts, sizes, strict=False))
            if cut:
                return f"{cut} of {main.fields[offsets].count} {name} lie beyond its end"
    return None


def _described(directory: Directory) -> dict[int, Field]:
    return {tag: entry for tag, entry in directory.fields.items() if tag not in STRUCTURE}


def _exif(main: Directory) -> tuple[bytes | None, list[int]]:
    """The fields that describe the photo as an EXIF block of their own, and those it can't hold."""
    fields, unfit = _narrowed(_described(main))
    children = {}
    for tag, child in main.children.items():
        inner, more = _narrowed(child.fields)
        children[tag] = Directory(inner, child.children)
        unfit += more
    if not fields and not children:
        return None, unfit
    # WebP and AVIF have no other place for it, and keep an EXIF that is there as it is.
    fields |= exif.resolution_fields(exif.resolution(main))
    return exif.from_directory(Directory(fields, children)), unfit


def _narrowed(fields: dict[int, Field]) -> tuple[dict[int, Field], list[int]]:
    """Fields without BigTIFF's types of eight bytes, which EXIF doesn't have; and what is lost."""
    narrow, unfit = {}, []
    for tag, entry in fields.items():
        if entry.kind not in BIG_TYPES:
            narrow[tag] = entry
        elif all(number < 1 << 32 for number in entry.numbers()):
            value = struct.pack(f"<{entry.count}L", *entry.numbers())
            narrow[tag] = Field(LONG, entry.count, value)
        else:
            unfit.append(tag)
    return narrow, unfit


def is_raw(data: Buffer) -> bool:
    """Whether it is a camera's RAW, of those that are laid out like TIFF."""
    try:
        main = Reader(data, only=TELLING_RAW).main()
    except ValueError:
        return False
    is_thumbnail = _number(main, SUBFILE, 0) & REDUCED and SUBDIRECTORIES in main.fields
    colours = _number(main, PHOTOMETRIC, 0)
    return bool(
        DNG_VERSION in main.fields
        or is_thumbnail
        or colours in (COLOUR_FILTER_ARRAY, LINEAR_RAW)
        or data[8:10] == b"CR"  # Canon's CR2
    )


def _require_readable_colours(main: Directory, compression: int) -> None:
    """Raise UnusableError for colours and arrangements that the decoder would take for others."""
    colours = _number(main, PHOTOMETRIC, 0)
    if colours in LAB:
        raise UnusableError("is in LAB colour; convert it to RGB or grey first")
    if colours == YCBCR and compression not in JPEG_COMPRESSED:
        raise UnusableError("is in YCbCr without JPEG compression; convert it to RGB first")
    if colours == WHITE_IS_ZERO and _number(main, SAMPLE_FORMAT, 1) == FLOAT:
        raise UnusableError("holds floats of which 0 is white; save it with 0 as black")
    if _number(main, PLANAR, 1) == SEPARATE and TILE_WIDTH in main.fields:
        raise UnusableError("holds tiles of each colour apart; save it with colours together")


def _require_known_samples(main: Directory) -> None:
    """Raise UnusableError for a sample beside grey or RGB that is not said to be alpha."""
    if _number(main, SAMPLES, 1) not in (2, 4) or _number(main, PHOTOMETRIC, 1) > 2:
        return
    # The decoder divides the colours by an associated alpha.
    if _number(main, EXTRA_SAMPLES, 0) not in (ASSOCIATED, UNASSOCIATED):
        raise UnusableError(
            "has a channel beside its colours that isn't said to be alpha; remove it, or save it "
            "as alpha (ExtraSamples 2)"
        )


def _further_pages(data: Buffer) -> list[int]:
    """Which of the directories behind the first are pages, and no thumbnails: up to two."""
    reader = Reader(data, only=frozenset({SUBFILE}))
    reader.main()
    following = enumerate(reader.following())
    pages = (number for number, page in following if not _number(page, SUBFILE, 0) & REDUCED)
    return list(islice(pages, 2))


def _number(directory: Directory, tag: int, default: int) -> int:
    entry = directory.fields.get(tag)
    numbers = entry.numbers() if entry and entry.value else ()
    return numbers[0] if numbers else default


def _bytes(directory: Directory, tag: int) -> bytes | None:
    """A field of bytes, though many writers call them longs."""
    entry = directory.fields.get(tag)
    return entry.value if entry else None


def _notes(main: Directory, faults: list[int], large: dict[int, int]) -> tuple[str, ...]:
    private = {tag: size for tag, size in large.items() if tag not in STRUCTURE}
    layers = LAYERS in main.fields or LAYERS in large
    return lost_fields(faults, private) + ("Photoshop's layers were left out",) * layers


def lost_fields(faults: Iterable[int], large: dict[int, int]) -> tuple[str, ...]:
    """Notes of fields that a reader left out: damaged ones, and large ones with their sizes."""
    notes = []
    if tags := ", ".join(f"tag {tag}" for tag in dict.fromkeys(faults)):
        notes.append(f"damaged metadata was left out ({tags})")
    if sizes := ", ".join(f"tag {tag}: {size >> 20} MiB" for tag, size in large.items()):
        notes.append(f"private fields of more than 1 MiB were left out ({sizes})")
    return tuple(notes)
