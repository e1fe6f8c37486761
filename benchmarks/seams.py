"""A large photo cut the common way, beside the result of one piece: seams and steps of brightness.

    python benchmarks/seams.py --weights low-light --megapixels 12 --picture docs/images/seams.jpg

A photo is enlarged to the size of a camera's, darkened for low light, and restored twice: in tiles
that know nothing of each other, of which the inner part is kept, as programs of this field do; and
by `mirnet`. The picture shows both, and their difference many times as large.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.checkpoints.catalog import resolve
from mirnet.environment import file_sha256
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.imaging.resize import resized
from mirnet.inference.restorer import Restorer
from mirnet.inference.streaming.tiles import Cut

Picture = NDArray[np.float32]
PHOTO = Path(__file__).parents[1] / "examples/phone-night.png"
ASPECT = 4 / 3
SHOWN = 640
"""Columns of each picture that is shown."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--weights", default="low-light")
    parser.add_argument("--light", type=float, default=1.0, help="what the photo is multiplied by")
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=32)
    parser.add_argument("--times", type=float, default=8.0, help="how the difference is enlarged")
    parser.add_argument("--picture", type=Path, help="write the comparison as a JPEG")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    photo = enlarged(read_photo(options.photo).pixels[..., :3], options.megapixels)
    photo = (photo * options.light).astype(np.float32)
    restorer = Restorer.from_pretrained(options.weights, precision="float32")
    common = in_tiles(restorer, photo, options.tile, options.overlap)
    ours = restorer(photo)
    apart = np.abs(common - ours)
    figures = {
        "weights": options.weights,
        "weights_sha256": file_sha256(resolve(options.weights)),
        "light": options.light,
        "size": [photo.shape[1], photo.shape[0]],
        "tile": options.tile,
        "overlap": options.overlap,
        "mean": float(apart.mean()) * 255,
        "most": float(apart.max()) * 255,
        "steps_at_seams": at_seams(common - ours, options.tile) * 255,
    }
    print(json.dumps(figures))
    if options.picture:
        write_comparison(options.picture, common, ours, apart * options.times)
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def enlarged(pixels: NDArray[Any], megapixels: float) -> Picture:
    """As large as a camera's photo, cut to its shape."""
    width = round((megapixels * 1e6 * ASPECT) ** 0.5)
    height = round(width / ASPECT)
    cut = pixels[: round(pixels.shape[1] / ASPECT)]
    as_floats = cut.astype(np.float32) / np.iinfo(pixels.dtype).max
    return resized(as_floats, height, width).clip(0, 1)


def in_tiles(restorer: Restorer, photo: Picture, tile: int, overlap: int) -> Picture:
    """Each tile by itself; of what overlaps, each gives the half that is nearer to it."""
    height, width = photo.shape[:2]
    made = np.empty_like(photo)
    for box in Cut(height, width, tile, tile).tiles(backwards=False):
        region = box.grown(overlap // 2, height, width)
        part = restorer(photo[region.top : region.bottom, region.left : region.right])
        inner = box.within(region)
        made[box.top : box.bottom, box.left : box.right] = part[
            inner.top : inner.bottom, inner.left : inner.right
        ]
    return made


def at_seams(difference: Picture, tile: int) -> float:
    """The mean step of the difference across a seam; the photo's own edges are in both."""
    across = [
        np.abs(difference[:, x] - difference[:, x - 1])
        for x in range(tile, difference.shape[1], tile)
    ]
    down = [
        np.abs(difference[y] - difference[y - 1]) for y in range(tile, difference.shape[0], tile)
    ]
    return float(np.mean([*(each.mean() for each in across), *(each.mean() for each in down)]))


def write_comparison(path: Path, *pictures: Picture) -> None:
    """Side by side, brought down."""
    height = round(SHOWN * pictures[0].shape[0] / pictures[0].shape[1])
    small = [resized(picture.clip(0, 1), height, SHOWN).clip(0, 1) for picture in pictures]
    gap = np.ones((height, 8, 3), np.float32)
    row = np.concatenate([small[0], gap, small[1], gap, small[2]], axis=1)
    write_photo(Photo(pixels=(row * 255 + 0.5).astype(np.uint8)), path)


if __name__ == "__main__":
    main()
