"""Metadata from and into libvips images and TIFF files."""

from __future__ import annotations

import mmap
from typing import Any, BinaryIO

import pyvips

from mirnet.imaging import exif
from mirnet.imaging.formats import JPEG, Format
from mirnet.imaging.metadata import Metadata, iptc_from_photoshop, iptc_to_photoshop

EXIF_PREFIX = b"Exif\0\0"


def field(image: Any, name: str, default: Any) -> Any:
    """A field of a libvips image's header, ``default`` if it has none of that name."""
    return image.get(name) if image.get_typeof(name) else default


def orientation(image: Any) -> int:
    """The EXIF orientation, 1–8, that is still to be applied; libvips has applied that of AVIF."""
    value = int(field(image, "orientation", 1))
    return value if 1 <= value <= 8 else 1


def extract(image: Any, tiff: BinaryIO | None) -> Metadata:
    """The metadata of an opened image, for its upright pixels.

    Args:
        image: a libvips image whose orientation has not been applied.
        tiff: the open file if it is a TIFF.
    """
    exif_block, iptc = field(image, "exif-data", None), field(image, "iptc-data", None)
    if tiff:
        with mmap.mmap(tiff.fileno(), 0, access=mmap.ACCESS_READ) as content:
            exif_block, iptc = exif.from_tiff(content)
    resolution = (image.xres, image.yres)
    if orientation(image) >= 5:
        resolution = (image.yres, image.xres)
    found = Metadata(
        exif=exif_block and exif_block.removeprefix(EXIF_PREFIX),
        xmp=field(image, "xmp-data", None),
        icc=field(image, "icc-profile-data", None),
        iptc=iptc and iptc_from_photoshop(iptc),
        # libvips says 1 pixel per millimetre when the file says nothing.
        resolution=None if resolution == (1, 1) else resolution,
    )
    return found.upright()


def attach(image: Any, metadata: Metadata, kind: Format) -> Any:
    """A copy of a libvips image with the metadata that libvips can write to ``kind``."""
    metadata = metadata.upright()
    across, down = metadata.resolution or (1, 1)
    image = image.copy(xres=across, yres=down)
    # libvips writes this into the EXIF, over what stands there.
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    colours = 1 if image.interpretation in ("b-w", "grey16") else 3
    blobs = {
        "exif-data": metadata.exif and EXIF_PREFIX + metadata.exif,
        "xmp-data": metadata.xmp,
        "icc-profile-data": metadata.icc if metadata.profile_channels == colours else None,
        "iptc-data": metadata.iptc and iptc_to_photoshop(metadata.iptc) if kind is JPEG else None,
    }
    for name, blob in blobs.items():
        if blob:
            image.set_type(pyvips.GValue.blob_type, name, blob)
    return image


def complete_tiff(encoded: bytes, metadata: Metadata) -> bytes:
    """A TIFF file from libvips with the EXIF and IPTC that libvips does not write."""
    return exif.into_tiff(encoded, exif=metadata.upright().exif, iptc=metadata.iptc)
