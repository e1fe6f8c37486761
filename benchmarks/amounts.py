"""What --strength and --chroma-only leave of a photo's noise, as pictures for the documents.

    python benchmarks/amounts.py --strength docs/images/strength.jpg \\
        --chroma docs/images/chroma-only.jpg

Each shows a part of the photo, twice as large, from little to much: the photo itself, what the
option makes of it, and what is made without it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.restorer import Restorer
from mirnet.inference.treatment import Options

Picture = NDArray[Any]
PHOTO = Path(__file__).parents[1] / "examples/phone-night.png"
STRENGTHS: tuple[Options, ...] = ({"strength": 0.0}, {"strength": 0.5}, {"strength": 1.0})
CHROMA: tuple[Options, ...] = ({"strength": 0.0}, {"chroma_only": True}, {})
TIMES = 2
GAP = 8
QUALITY = 85


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--top", type=int, default=180, help="first row that is shown")
    parser.add_argument("--left", type=int, default=336, help="first column that is shown")
    parser.add_argument("--side", type=int, default=144, help="rows and columns that are shown")
    parser.add_argument("--strength", type=Path, help="write strengths 0, 0.5 and 1 there")
    parser.add_argument("--chroma", type=Path, help="write the photo, chroma alone, and all there")
    options = parser.parse_args()
    pixels = read_photo(options.photo).pixels
    restorer = Restorer.from_pretrained(options.weights, precision="float32")
    rows = slice(options.top, options.top + options.side)
    columns = slice(options.left, options.left + options.side)
    for path, amounts in ((options.strength, STRENGTHS), (options.chroma, CHROMA)):
        if path:
            made = (restorer(pixels, **amount)[rows, columns] for amount in amounts)
            write_photo(Photo(pixels=beside(*map(larger, made))), path, quality=QUALITY)


def larger(picture: Picture) -> Picture:
    """Each pixel several times, so that noise is seen as it is."""
    return picture.repeat(TIMES, 0).repeat(TIMES, 1)


def beside(*pictures: Picture) -> Picture:
    """In a row, with white between."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    row = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(row[:-1], axis=1)


if __name__ == "__main__":
    main()
