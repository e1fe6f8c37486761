"""How much of what separates a noisy photo from its target is noise: PolyU's pairs, and others.

    python benchmarks/noise_in_place.py data/denoise_polyu/* --output results/noise_in_place.json

Each photo is restored as it is, and again with the same differences from its target moved elsewhere
in it: noise does not mind, what belongs to the picture (a target that is shifted by parts of a
pixel, or softer, as the mean of many shots is) does. Besides, the shift by which the result comes
nearest its target.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from mirnet import Restorer
from mirnet.imaging.io import read_photo

Picture = NDArray[np.float32]
AWAY = 67, 113
MARGIN = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="with input/ and target/")
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    restorer = Restorer.from_pretrained(options.weights, runtime="torch", precision="float32")
    pairs = {
        f"{folder.parent.name}/{folder.name}/{each.stem}": examined(restorer, folder, each.name)
        for folder in options.folders
        for each in sorted((folder / "target").iterdir())
    }
    means = {key: fmean(pair[key] for pair in pairs.values()) for key in next(iter(pairs.values()))}
    for name, row in [*pairs.items(), ("mean", means)]:
        print(name, *(f"{key} {value:.2f}" for key, value in row.items()), sep="  ")
    if options.output:
        found = {"weights": options.weights, "means": means, "pairs": pairs}
        options.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def examined(restorer: Restorer, folder: Path, name: str) -> dict[str, float]:
    """Decibels before and after, in place and moved away; and the shift, in pixels."""
    noisy, clean = (read(folder / kind / name) for kind in ("input", "target"))
    apart = noisy - clean
    elsewhere = np.clip(clean + np.roll(apart - apart.mean((0, 1)), AWAY, (0, 1)), 0, 1)
    restored, restored_elsewhere = restorer(noisy), restorer(elsewhere)
    shift, _, _ = phase_cross_correlation(clean.mean(2), restored.mean(2), upsample_factor=50)
    moved = ndimage.shift(restored, (*shift, 0), order=3, mode="nearest")
    return {
        "input": psnr(noisy, clean),
        "restored": psnr(restored, clean),
        "input_elsewhere": psnr(elsewhere, clean),
        "restored_elsewhere": psnr(restored_elsewhere, clean),
        "shift": float(np.hypot(*shift)),
        "restored_and_shifted": psnr(moved, clean),
    }


def psnr(result: Picture, clean: Picture) -> float:
    """In decibels, without a margin, so that what a shift brings in does not count."""
    inner = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    error: Any = np.square(np.clip(result[inner], 0, 1) - clean[inner]).mean()
    return float(-10 * np.log10(error))


def read(path: Path) -> Picture:
    pixels: Picture = (read_photo(path).pixels / np.float32(255)).astype(np.float32)
    return pixels


if __name__ == "__main__":
    main()
