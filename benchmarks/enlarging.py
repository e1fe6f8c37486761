"""Clean photos brought down 2, 3 and 4 times, and back by cubic interpolation and by the network.

    python benchmarks/enlarging.py data/clean_cbsd68/val/target --weights super-resolution

The smaller pictures are made by the degradation `downscale` that the network was trained on, each
from a seed of its own; PSNR is of the luma, without a border as wide as the factor.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from mirnet.data.degradations import downscale
from mirnet.imaging.color import rgb_to_y
from mirnet.imaging.io import read_photo
from mirnet.imaging.quantize import from_planes, to_float, to_planes
from mirnet.inference.restorer import Restorer
from mirnet.metrics.psnr import psnr

FACTORS = (2, 3, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="super-resolution")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    restorer = Restorer.from_pretrained(options.weights, runtime="torch")
    rows = []
    print("| factor | pictures | cubic | network | gain | least gain |")
    print("|---|---|---|---|---|---|")
    for factor in FACTORS:
        pairs = [
            scores(path, seed, factor, restorer)
            for seed, path in enumerate(sorted(options.folder.glob("*.png")))
        ]
        cubic, network = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
        least = min(b - a for a, b in pairs)
        print(
            f"| ×{factor} | {len(pairs)} | {cubic:.2f} dB | {network:.2f} dB "
            f"| {network - cubic:+.2f} | {least:+.2f} |"
        )
        rows.append({"factor": factor, "pictures": len(pairs), "psnr": pairs})
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def scores(path: Path, seed: int, factor: int, restorer: Restorer) -> tuple[float, float]:
    """PSNR in dB of cubic interpolation and of the network."""
    clean = to_float(read_photo(path).pixels)
    given = downscale(clean, np.random.default_rng(seed), factor=float(factor))
    levels = from_planes(given.transpose(2, 0, 1), channels=3, dtype=np.dtype(np.uint8))
    restored = restorer(levels)
    return luma_psnr(levels, clean, factor), luma_psnr(restored, clean, factor)


def luma_psnr(levels: np.ndarray, clean: np.ndarray, border: int) -> float:
    """PSNR in dB of the luma, without a border."""
    first, second = (
        rgb_to_y(torch.from_numpy(to_planes(each))[None])[..., border:-border, border:-border]
        for each in (levels, clean)
    )
    return float(psnr(first, second, data_range=255.0))


if __name__ == "__main__":
    main()
