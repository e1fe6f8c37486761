"""Develop RAW with rawpy, that is LibRaw."""

from __future__ import annotations

import io
from typing import Any

from mirnet.imaging.apart.worker import Picture, Request, serve

BITS = 16
DEMOSAICING = "DHT"
"""Of those in LibRaw, it leaves the least error without noise, and as little as any with the noise
of little light, restored; with that of very little light VNG leaves less (benchmarks/raw.py)."""
SRGB_GAMMA = (2.4, 12.92)
"""Exponent, and slope near black, of sRGB's curve."""
TRANSPOSED = 4
"""In LibRaw's number of a turn, set for pictures on their side."""


def decode(content: bytes, request: Request) -> Picture:
    """The main picture, never the preview, upright, in sRGB of 16 bits."""
    import rawpy  # noqa: PLC0415  (under the limits)

    with rawpy.RawPy() as raw:
        raw.open_buffer(io.BytesIO(content))
        if not request.pixels:
            sizes = raw.sizes
            sides = sizes.iheight, sizes.iwidth
            height, width = sides[::-1] if sizes.flip & TRANSPOSED else sides
            return Picture(height, width, 1 if raw.num_colors == 1 else 3, BITS)
        raw.unpack()
        pixels = raw.postprocess(parameters())
    height, width = pixels.shape[:2]
    channels = pixels.size // (height * width)
    return Picture(height, width, channels, BITS, pixels.astype("<u2", copy=False).tobytes())


def parameters(demosaicing: str = DEMOSAICING) -> Any:
    """How RAW is developed.

    White balance is the camera's. White is the white level that the file states, and what is
    brighter is cut: exposure is what was taken, alike in all photos.
    """
    import rawpy  # noqa: PLC0415

    return rawpy.Params(
        demosaic_algorithm=rawpy.DemosaicAlgorithm[demosaicing],
        use_camera_wb=True,
        output_color=rawpy.ColorSpace.sRGB,
        output_bps=BITS,
        gamma=SRGB_GAMMA,
        highlight_mode=rawpy.HighlightMode.Clip,
        no_auto_bright=True,
        adjust_maximum_thr=0.0,
    )


if __name__ == "__main__":
    serve(decode)
