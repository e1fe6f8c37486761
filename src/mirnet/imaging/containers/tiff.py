"""TIFF: directories."""

from __future__ import annotations

import struct

from mirnet.imaging import exif
from mirnet.imaging.buffer import Buffer
from mirnet.imaging.containers.contents import Contents, Part, UnusableError
from mirnet.imaging.directories import UNDEFINED, Directory, Field, Layout, Reader, serialize
from mirnet.imaging.metadata import Metadata, iptc_from_photoshop

SUBFILE, COMPRESSION, PHOTOMETRIC, ORIENTATION, SAMPLES = 254, 259, 262, 274, 277
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
SUBDIRECTORIES, EXTRA_SAMPLES, XMP, IPTC, PHOTOSHOP = 330, 338, 700, 33723, 34377
ICC, LAYERS, DNG_VERSION = 34675, 37724, 50706

PIXELS = frozenset((
    *range(254, 270), *range(273, 285), *range(288, 298), 317, *range(320, 348), *range(512, 533),
    559,
)) - {269, 285, 286, 287, ORIENTATION, SUBDIRECTORIES}  # fmt: skip
"""Fields that say how the file stores its pixels."""
STRUCTURE = PIXELS | {ORIENTATION, SUBDIRECTORIES, XMP, IPTC, PHOTOSHOP, ICC, LAYERS}
"""These, and fields that have a place of their own in `Metadata`; all others describe the photo."""

UNREADABLE = {
    34661: "JBIG", 34887: "LERC", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
    50002: "JPEG XL", 52546: "JPEG XL", 6: "old-style JPEG", 34712: "JPEG 2000",
}  # fmt: skip
"""Compressions that the decoder doesn't have."""
PLACES = (("strips", 273, 279), ("tiles", 324, 325))
"""Where the pixels stand: offsets and lengths."""
COLOUR_FILTER_ARRAY, LINEAR_RAW = 32803, 34892
REDUCED = 1
ASSOCIATED, UNASSOCIATED = 1, 2
MOST_FIELD = 1 << 20
"""Bytes of a private field that is carried; larger ones hold pictures and layers."""


def inspect(data: Buffer) -> Contents:
    """What a TIFF file holds. Raises UnusableError for RAW, and for what no decoder here reads."""
    try:
        reader = Reader(data)
        main = reader.main()
        pages = sum(not _number(page, SUBFILE, 0) & REDUCED for page in reader.following())
    except ValueError as error:
        raise UnusableError(f"is truncated or damaged ({error}); get a fresh copy") from error
    if _is_raw(data, main):
        raise UnusableError(
            "is a RAW photo; develop it to a 16-bit TIFF first (with darktable or RawTherapee, say)"
        )
    if pages:
        raise UnusableError(f"holds {pages + 1} pages or frames; extract the one that you want")
    if lost := PIXELS.intersection(reader.faults):
        raise UnusableError(f"is truncated or damaged (tag {min(lost)}); get a fresh copy")
    compression = _number(main, COMPRESSION, 1)
    if compression in UNREADABLE:
        raise UnusableError(
            f"is compressed with {UNREADABLE[compression]}, which mirnet can't read; save it with "
            "deflate or LZW"
        )
    _require_known_samples(main)
    large = [tag for tag, entry in _described(main).items() if len(entry.value) > MOST_FIELD]
    block = _exif(main, without=large)
    photoshop = _bytes(main, PHOTOSHOP)
    metadata = Metadata(
        exif=block,
        xmp=_bytes(main, XMP),
        icc=_bytes(main, ICC),
        iptc=_bytes(main, IPTC) or (iptc_from_photoshop(photoshop) if photoshop else None),
        resolution=_resolution(main),
    )
    return Contents(
        parts=_bare(data, main, reader.layout),
        metadata=metadata,
        orientation=exif.known_orientation(_number(main, ORIENTATION, 1)),
        damage=_missing(main, len(data)),
        notes=_notes(main, reader.faults, large),
    )


def dress(bare: bytes, metadata: Metadata) -> tuple[bytes, tuple[str, ...]]:
    """A TIFF file with this metadata, and what it can't hold.

    Args:
        bare: a whole little-endian file with one page.
        metadata: what to add.
    """
    reader = Reader(bare)
    main, layout = reader.main(), reader.layout
    for tag in (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT):
        main.fields.pop(tag, None)  # the encoder invents one
    notes = [f"the text {keyword} can't be held by TIFF; left out" for keyword, _ in metadata.texts]
    added = Directory()
    if metadata.exif:
        try:
            added = Reader(metadata.exif).main()
        except ValueError:
            notes.append("damaged metadata was left out (EXIF)")
    fields = _described(added) | main.fields | _resolution_fields(metadata.resolution)
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
    fields = {tag: entry for tag, entry in main.fields.items() if tag in PIXELS}
    head = data[0 : layout.start] + struct.pack(layout.offset, start)
    padding = bytes(start - len(data))
    return head, (len(head), len(data)), padding, serialize(Directory(fields), start, layout)


def _missing(main: Directory, size: int) -> str | None:
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


def _exif(main: Directory, *, without: list[int]) -> bytes | None:
    """The fields that describe the photo, as an EXIF block of their own."""
    fields = {tag: entry for tag, entry in _described(main).items() if tag not in without}
    if not fields and not main.children:
        return None
    return exif.from_directory(Directory(fields, main.children))


def _is_raw(data: Buffer, main: Directory) -> bool:
    is_thumbnail = _number(main, SUBFILE, 0) & REDUCED and SUBDIRECTORIES in main.fields
    colours = _number(main, PHOTOMETRIC, 0)
    return bool(
        DNG_VERSION in main.fields
        or is_thumbnail
        or colours in (COLOUR_FILTER_ARRAY, LINEAR_RAW)
        or data[8:10] == b"CR"  # Canon's CR2
    )


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


def _number(directory: Directory, tag: int, default: int) -> int:
    entry = directory.fields.get(tag)
    numbers = entry.numbers() if entry and entry.value else ()
    return numbers[0] if numbers else default


def _bytes(directory: Directory, tag: int) -> bytes | None:
    """A field of bytes, though many writers call them longs."""
    entry = directory.fields.get(tag)
    return entry.value if entry else None


def _resolution(main: Directory) -> tuple[float, float] | None:
    block = exif.from_directory(
        Directory({tag: main.fields[tag] for tag in main.fields if tag in STRUCTURE - {XMP, ICC}})
    )
    return exif.resolution(block)


def _resolution_fields(resolution: tuple[float, float] | None) -> dict[int, Field]:
    if resolution is None:
        return {}
    across, down = (
        Field(5, 1, struct.pack("<LL", min(round(value * 25.4 * 1000), 2**32 - 1), 1000))
        for value in resolution
    )
    inch = Field(3, 1, struct.pack("<H", 2))
    return {X_RESOLUTION: across, Y_RESOLUTION: down, RESOLUTION_UNIT: inch}


def _notes(main: Directory, faults: list[int], large: list[int]) -> tuple[str, ...]:
    notes = []
    if faults:
        tags = ", ".join(f"tag {tag}" for tag in dict.fromkeys(faults))
        notes.append(f"damaged metadata was left out ({tags})")
    if large:
        sizes = ", ".join(f"tag {tag}: {len(main.fields[tag].value) >> 20} MiB" for tag in large)
        notes.append(f"private fields of more than 1 MiB were left out ({sizes})")
    if LAYERS in main.fields:
        notes.append("Photoshop's layers were left out")
    return tuple(notes)
