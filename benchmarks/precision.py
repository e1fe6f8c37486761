"""What bfloat16 in OpenVINO costs on pairs of photos, beside float32 in PyTorch.

python benchmarks/precision.py data/denoise_*/val --output results/precision.json

PSNR of results rounded to 8 bits, in dB: of both, the mean difference and the largest; and what the
trial says, by which `mirnet restore` decides.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from mirnet.checkpoints.catalog import resolve
from mirnet.environment import file_sha256
from mirnet.imaging.io import read_photo
from mirnet.imaging.quantize import to_planes
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.trial import trial_of
from mirnet.inference.restorer import Restorer
from mirnet.metrics.psnr import psnr
from mirnet.models.mirnet_v2 import MIRNetV2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, help="with input/, or inputL/ and inputR/, and target/"
    )
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--output", type=Path, help="add the figures to this JSON")
    options = parser.parse_args()
    exact = Restorer.from_pretrained(options.weights, runtime="torch", precision="float32")
    fast = Restorer.from_pretrained(options.weights, runtime="openvino", precision="bfloat16")
    network = exact.model
    assert isinstance(network, MIRNetV2)
    trial = trial_of(OpenVINO, network, anew=True)
    print(f"{OpenVINO.setting()}, {options.weights}: trial {trial.low_psnr:.1f} dB")
    print("| pairs | float32 | bfloat16 | mean difference | largest |\n|---|---|---|---|---|")
    found = {}
    for folder in options.folders:
        targets = sorted((folder / "target").iterdir())
        views = ["inputL", "inputR"] if (folder / "inputL").is_dir() else ["input"]
        pairs = [
            (torch.cat([planes(folder / view / each.name) for view in views], 1), planes(each))
            for each in targets
        ]
        high, low = ([score(restorer, *pair) for pair in pairs] for restorer in (exact, fast))
        apart = [theirs - ours for theirs, ours in zip(low, high, strict=True)]
        largest = max(apart, key=abs)
        name = f"{folder.parent.name} ({len(pairs)})"
        found[name] = {
            "weights": options.weights,
            "weights_sha256": file_sha256(resolve(options.weights)),
            "float32": fmean(high),
            "bfloat16": fmean(low),
            "largest_difference": largest,
            "trial_psnr": trial.low_psnr,
            "processor": OpenVINO.setting(),
        }
        print(
            f"| {name} | {fmean(high):.3f} | {fmean(low):.3f} "
            f"| {fmean(apart):+.4f} | {largest:+.4f} |"
        )
    if options.output:
        known = json.loads(options.output.read_text()) if options.output.exists() else {}
        options.output.write_text(json.dumps(known | found, indent=1) + "\n", "utf-8")


def score(restorer: Restorer, noisy: Tensor, clean: Tensor) -> float:
    restored = (restorer(noisy) * 255).round() / 255
    return float(psnr(restored, clean, data_range=1.0))


def planes(path: Path) -> Tensor:
    return torch.from_numpy(to_planes(read_photo(path).pixels))[None]


if __name__ == "__main__":
    main()
