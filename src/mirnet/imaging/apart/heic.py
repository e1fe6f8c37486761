"""Decode HEIC with pillow-heif, that is libheif and libde265."""

from __future__ import annotations

from typing import Any

from mirnet.imaging.apart.worker import Picture, Request, serve


def decode(content: bytes, _: Request) -> Picture:
    """The primary picture, cropped and turned as its properties say."""
    import pillow_heif  # noqa: PLC0415  (under the limits)

    pillow_heif.options.THUMBNAILS = False
    pillow_heif.options.DEPTH_IMAGES = False
    pillow_heif.options.AUX_IMAGES = False
    file = pillow_heif.open_heif(content, convert_hdr_to_8bit=False)
    picture = file[file.primary_index]
    data: Any = picture.data
    bits: Any = picture.info["bit_depth"]
    width, height = picture.size  # known for sure once it is decoded
    channels = len(picture.mode.split(";")[0])  # of RGBA;16, L, I;16
    return Picture(height, width, channels, bits, data=data)


if __name__ == "__main__":
    serve(decode)
