"""Develop RAW with rawpy, that is LibRaw."""

from __future__ import annotations

import io
from typing import Any

from mirnet.imaging import exif
from mirnet.imaging.apart.worker import Picture, RefusedError, Request, serve
from mirnet.imaging.directories import Reader

BITS = 16
DEMOSAICING = "DHT"
"""Of those in LibRaw, it leaves the least error without noise, and restored in good light; in
little light VNG is level, and in very little it leaves less (benchmarks/raw.py)."""
SRGB_GAMMA = (2.4, 12.92)
"""Exponent, and slope near black, of sRGB's curve."""
TRANSPOSED = 4
"""In LibRaw's number of a turn, set for pictures on their side."""
LEAST_GAIN = 1e-5
"""Of a colour in a white balance; LibRaw takes less for none."""
NO_WHITE_BALANCE = "no white balance of the camera was found; daylight's was taken"
FURTHER_FRAMES = (
    "its further frames (dual-pixel, pixel shift) were left out; the first was developed"
)


def decode(content: bytes, request: Request) -> Picture:
    """The main picture, never the preview, upright, in sRGB of 16 bits."""
    import rawpy  # noqa: PLC0415  (under the limits)

    turns = _turns(content)
    with rawpy.RawPy() as raw:
        try:
            raw.open_buffer(io.BytesIO(content))
        except rawpy.LibRawFileUnsupportedError as error:
            raise RefusedError(
                "damaged, tiny, or of a camera or compression that LibRaw doesn't know",
                "get a fresh copy, or develop it to TIFF first",
            ) from error
        if not request.pixels:
            height, width = _upright_sides(raw.sizes, turns=turns)
            return Picture(height, width, 1 if raw.num_colors == 1 else 3, BITS)
        raw.unpack()
        is_balanced = _is_balanced(raw)
        notes = (
            "" if is_balanced else NO_WHITE_BALANCE,
            FURTHER_FRAMES if _has_further_frames(content) else "",
        )
        pixels = raw.postprocess(parameters(is_balanced=is_balanced, turns=turns))
    height, width = pixels.shape[:2]
    channels = pixels.size // (height * width)
    data = pixels.astype("<u2", copy=False).data.cast("B")
    return Picture(height, width, channels, BITS, tuple(filter(None, notes)), data)


def _turns(content: bytes) -> bool:
    """Whether LibRaw's turn counts: it turns for orientations, too, that are none of the eight."""
    try:
        main = Reader(content, only=frozenset((exif.ORIENTATION,))).main()
    except ValueError:
        return True
    entry = main.fields.get(exif.ORIENTATION)
    numbers = entry.numbers() if entry else ()
    return not numbers or numbers[0] == exif.known_orientation(numbers[0])


def _upright_sides(sizes: Any, *, turns: bool) -> tuple[int, int]:
    """Height and width of the upright picture, of pixels that are square."""
    height, width, aspect = sizes.iheight, sizes.iwidth, sizes.pixel_aspect
    # LibRaw makes the shorter side longer.
    if 0 < aspect < 1:
        height = int(height / aspect + 0.5)
    elif aspect > 1:
        width = int(width * aspect + 0.5)
    return (width, height) if turns and sizes.flip & TRANSPOSED else (height, width)


def _is_balanced(raw: Any) -> bool:
    """Whether LibRaw found the camera's white balance, where there is one to find."""
    red, _, blue, _ = raw.camera_whitebalance
    return bool(raw.num_colors == 1 or min(red, blue) > LEAST_GAIN)


def _has_further_frames(content: bytes) -> bool:
    """Whether LibRaw finds a second picture of the sensor in the file."""
    import rawpy  # noqa: PLC0415

    with rawpy.RawPy() as raw:
        raw.set_unpack_params(shot_select=1)
        try:
            raw.open_buffer(io.BytesIO(content))
            raw.unpack()
        except rawpy.LibRawRequestForNonexistentImageError:
            return False
        except rawpy.LibRawError:  # one that is damaged
            pass
        return True


def parameters(
    demosaicing: str = DEMOSAICING, *, is_balanced: bool = True, turns: bool = True
) -> Any:
    """How RAW is developed.

    White balance is the camera's, or daylight's where it names none: LibRaw would guess one from
    the content. White is the white level that the file states, and what is
    brighter is cut: exposure is what was taken, alike in all photos.
    """
    import rawpy  # noqa: PLC0415

    return rawpy.Params(
        demosaic_algorithm=rawpy.DemosaicAlgorithm[demosaicing],
        use_camera_wb=is_balanced,
        user_flip=None if turns else 0,
        output_color=rawpy.ColorSpace.sRGB,
        output_bps=BITS,
        gamma=SRGB_GAMMA,
        highlight_mode=rawpy.HighlightMode.Clip,
        no_auto_bright=True,
        adjust_maximum_thr=0.0,
    )


if __name__ == "__main__":
    serve(decode)
