"""What detail recovery gives back to clean photos, and costs on noisy pairs.

python benchmarks/detail.py data/denoise_*/val data/clean_cbsd68/val --output results/detail.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from mirnet.imaging.io import read_photo
from mirnet.imaging.quantize import to_planes
from mirnet.inference.restorer import Restorer
from mirnet.inference.treatment import Treatment
from mirnet.metrics.psnr import psnr

AMOUNTS = (0.0, 0.25, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="with target/, and input/ if noisy")
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    restorer = Restorer.from_pretrained(options.weights, runtime="torch")
    found = {}
    print("| pairs | " + " | ".join(f"detail {amount:g}" for amount in AMOUNTS) + " |")
    print("|---" * (1 + len(AMOUNTS)) + "|")
    for folder in options.folders:
        targets = sorted((folder / "target").iterdir())
        rows = [scores(restorer, noisy_of(target), target) for target in targets]
        means = [fmean(column) for column in zip(*rows, strict=True)]
        name = f"{folder.parent.name} ({len(rows)})"
        found[name] = dict(zip(map(str, AMOUNTS), means, strict=True))
        print(f"| {name} | " + " | ".join(f"{mean:.2f} dB" for mean in means) + " |")
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def noisy_of(target: Path) -> Path:
    """The noisy picture of a pair; a clean photo stands for itself."""
    folder = target.parent.parent / "input"
    return folder / target.name if folder.is_dir() else target


def scores(restorer: Restorer, noisy: Path, clean: Path) -> list[float]:
    """PSNR in dB, of 8 bits, for each amount of detail."""
    given, wanted = planes(noisy), planes(clean)
    restored = restorer(given)
    results = (Treatment(detail=amount).after(given, restored) for amount in AMOUNTS)
    levels = ((result * 255).round() / 255 for result in results)
    return [float(psnr(each, wanted, data_range=1.0)) for each in levels]


def planes(path: Path) -> Tensor:
    return torch.from_numpy(to_planes(read_photo(path).pixels))[None]


if __name__ == "__main__":
    main()
