"""Full colour from a Bayer mosaic by linear interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.draws import Array


def demosaiced(mosaic: Array, red: tuple[int, int], correction: float) -> Array:
    """``(H, W)`` Bayer mosaic to ``(3, H, W)``; ``red`` is the first red pixel.

    Each missing colour is the mean of its neighbours plus ``correction`` times the gradient
    of the known colour: 0 is bilinear interpolation, 1 the gradient-corrected one of Malvar,
    He and Cutler (High-quality linear interpolation for demosaicing of Bayer-patterned color
    images, 2004).
    """
    height, width = mosaic.shape
    padded = np.pad(mosaic, 2, "reflect")  # keeps the mosaic's phase

    def at(down: int, right: int) -> Array:
        return padded[2 + down : 2 + down + height, 2 + right : 2 + right + width]

    beside, above = (at(0, -1) + at(0, 1)) / 2, (at(-1, 0) + at(1, 0)) / 2
    diagonal = (at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)) / 4
    cross = (beside + above) / 2
    if correction:
        far_beside, far_above = (at(0, -2) + at(0, 2)) / 2, (at(-2, 0) + at(2, 0)) / 2
        gradient = correction * (mosaic - (far_beside + far_above) / 2)
        near = mosaic * 5 - diagonal * 4
        cross += gradient / 2
        beside += correction / 8 * (near - 2 * far_beside + far_above)
        above += correction / 8 * (near - 2 * far_above + far_beside)
        diagonal += gradient * 0.75

    colours = np.empty((3, height, width), np.float32)
    red_row, red_column = red
    blue_row, blue_column = 1 - red_row, 1 - red_column
    colours_at: dict[tuple[int, int], tuple[NDArray[Any], ...]] = {
        (red_row, red_column): (mosaic, cross, diagonal),
        (red_row, blue_column): (beside, mosaic, above),
        (blue_row, red_column): (above, mosaic, beside),
        (blue_row, blue_column): (diagonal, cross, mosaic),
    }
    for (row, column), estimates in colours_at.items():
        for channel, estimate in enumerate(estimates):
            colours[channel, row::2, column::2] = estimate[row::2, column::2]
    return colours
