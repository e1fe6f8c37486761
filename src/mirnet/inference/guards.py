"""Say when a photo is far from what a network was trained on, or a result from its photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.imaging.quantize import to_float
from mirnet.inference.treatment import LUMA, NORMAL

Pixels = NDArray[Any]
BLANK = 1 / 255
"""Deviation of each channel below which nothing is on a picture."""
LOOKED_AT = 1024
"""Rows and columns in the middle that the noise is measured on."""
DARK, WHITE = 1 / 255, 254 / 255
FEWEST = 64
"""Pixels that the noise is measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is usual for a task; each bound may be missing.

    Attributes:
        brightest: the mean luma above which a photo is no case for it, of values in [0, 1].
        quietest: the noise below which there is nothing to do, as a deviation in 1/255.
        noisiest: the noise above which it is made worse rather than better, in 1/255.
        shift: the most that the mean of a channel changes.
        saturated: the largest share of pixels that become white and were not.
    """

    brightest: float | None = None
    quietest: float | None = None
    noisiest: float | None = None
    shift: float | None = None
    saturated: float | None = None


def doubts_before(pixels: Pixels, expected: Expected) -> tuple[str, ...]:
    """What speaks against restoring a photo ``(H, W, C)``, a sentence each."""
    seen = _thinned(pixels)
    mean = float(_luma(seen).mean())
    if float(seen.std((0, 1)).max()) < BLANK:
        return ("is blank: there is nothing to restore",)
    doubts = []
    if expected.brightest is not None and mean > expected.brightest:
        doubts.append(
            f"is bright already (mean {mean:.2f}; these weights are for photos below "
            f"{expected.brightest:.2f}): the result may be washed out"
        )
    noise = _noise(pixels) * 255
    if expected.quietest is not None and noise < expected.quietest:
        doubts.append(
            f"has next to no noise ({noise:.1f}/255): a lower --strength keeps more of it"
        )
    if expected.noisiest is not None and noise > expected.noisiest:
        doubts.append(
            f"is noisy ({noise:.0f}/255), and the result will be more so: restore it with --task "
            "denoising first"
        )
    return tuple(doubts)


def doubts_after(before: Pixels, after: Pixels, expected: Expected) -> tuple[str, ...]:
    """What is odd about a result, beside its photo; both ``(H, W, C)``, of any sizes."""
    old, new = _thinned(before), _thinned(after)
    doubts = []
    shifts = new.mean((0, 1)) - old.mean((0, 1))
    if expected.shift is not None and float(np.abs(shifts).max()) > expected.shift:
        told = ", ".join(f"{shift:+.2f}" for shift in shifts)
        doubts.append(f"came out in other colours (mean {told}): look at it before you keep it")
    if expected.saturated is not None:
        share = _whites(new) - _whites(old)
        if share > expected.saturated:
            doubts.append(f"came out with {share:.0%} more white: look at it before you keep it")
    return tuple(doubts)


def _thinned(pixels: Pixels) -> NDArray[np.float32]:
    """About a quarter of a million pixels, in [0, 1]."""
    step = max(1, round((pixels.shape[0] * pixels.shape[1] / (1 << 18)) ** 0.5))
    return to_float(np.ascontiguousarray(pixels[::step, ::step]))


def _luma(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    if pixels.shape[2] == 1:
        return pixels[:, :, 0]
    luma: NDArray[np.float32] = pixels @ np.array(LUMA, np.float32)
    return luma


def _whites(pixels: NDArray[np.float32]) -> float:
    """The share of pixels of which a channel is white."""
    return float((pixels >= WHITE).any(2).mean())


def _noise(pixels: Pixels) -> float:
    """The deviation of the luma's noise, from the middle half of what differs diagonally."""
    top, left = (max(0, (size - LOOKED_AT) // 2) for size in pixels.shape[:2])
    middle = pixels[top : top + LOOKED_AT, left : left + LOOKED_AT]
    luma = _luma(to_float(np.ascontiguousarray(middle)))
    steps = (luma[:-1, :-1] - luma[1:, :-1] - luma[:-1, 1:] + luma[1:, 1:]) / 2
    # What is clipped to black or white shows no noise.
    steps = steps[(luma[:-1, :-1] > DARK) & (luma[:-1, :-1] < WHITE)]
    if steps.size < FEWEST:
        return float("nan")  # too few to tell; no bound is passed
    return float(np.median(np.abs(steps))) / NORMAL
