"""The denoiser beside its input and BM3D, on folders of real pairs; prints the model card's table.

    python benchmarks/denoising_table.py data/denoise_*/val --baseline results/.../bm3d.json

BM3D (PyPI `bm3d`) stands twice: at the noise level that scikit-image's `estimate_sigma` finds, as
one would run it, and at the level that is best for each picture, which only the clean picture can
tell. It is slow, so its scores are kept in the baseline file with the checksum of the data, and
computed when they are missing there. All methods are scored by the protocol "photo".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import bm3d
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.restoration import estimate_sigma
from torch import Tensor

import mirnet
from mirnet import Restorer
from mirnet.atomic import replacing
from mirnet.checkpoints.catalog import resolve
from mirnet.data.sources import find_pairs
from mirnet.evaluation.evaluate import evaluate, load_pair
from mirnet.metrics.protocol import PROTOCOLS, score

Scores = dict[str, Any]
PROTOCOL = PROTOCOLS["photo"]
SIGMAS = np.geomspace(2, 120, 9) / 255
"""Where the search for the best noise level starts; the step is a factor of 1.67."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="each holds input/ and target/")
    parser.add_argument("--baseline", type=Path, required=True, help="scores of BM3D (JSON)")
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--output", type=Path, help="write all scores as JSON")
    options = parser.parse_args()

    weights = resolve(options.weights)
    restorer = Restorer.from_pretrained(weights, device="cpu")
    rows = []
    for folder in options.folders:
        methods: dict[str, Scores] = {
            "input": evaluate_with(lambda views: views, folder),
            **baseline(folder, options.baseline),
            "mirnet": evaluate_with(restorer, folder),
        }
        rows.append({"folder": "/".join(folder.parts[-2:]), "methods": methods})
        print_row(rows[-1], header=len(rows) == 1)
    if options.output:
        record = {
            "weights": weights.name,
            "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "protocol": PROTOCOL.name,
            "versions": {name: version(name) for name in ("torch", "bm3d", "scikit-image")}
            | {"mirnet": mirnet.__version__, "python": platform.python_version()},
            "folders": rows,
        }
        options.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def evaluate_with(restore: Callable[[Tensor], Tensor], folder: Path) -> Scores:
    """Mean scores, and those of each pair."""
    scores = evaluate(restore, find_pairs(folder), PROTOCOL)
    return {"mean": scores.means(), "images": scores.images, "data_sha256": scores.data_sha256}


def baseline(folder: Path, path: Path) -> dict[str, Scores]:
    """BM3D's scores from the baseline file, or computed and added to it."""
    known: dict[str, dict[str, Scores]] = (
        json.loads(path.read_text("utf-8")) if path.exists() else {}
    )
    checksum = evaluate_with(lambda views: views, folder)["data_sha256"]
    key = "/".join(folder.parts[-2:])
    made = {"data_sha256": checksum, "ssim": PROTOCOL.ssim}
    if known.get(key, {}).get("made") != made:
        known[key] = {
            "made": made,
            "bm3d-estimated": evaluate_with(at_estimated_sigma, folder),
            "bm3d-best": at_best_sigma(folder) | {"data_sha256": checksum},
        }
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    return {method: scores for method, scores in known[key].items() if method != "made"}


def at_estimated_sigma(views: Tensor) -> Tensor:
    """BM3D at the noise level that it would be run with: one number for the picture."""
    picture = as_picture(views)
    sigma = float(np.mean(estimate_sigma(picture, channel_axis=-1)))
    return run_bm3d(picture, sigma)


def at_best_sigma(folder: Path) -> Scores:
    """BM3D at the noise level that gives each picture its highest PSNR."""
    images = {pair.id: best_of_picture(*load_pair(pair)) for pair in find_pairs(folder)}
    means = {
        name: float(np.mean([row[name] for row in images.values()])) for name in ("psnr", "ssim")
    }
    return {"mean": means, "images": images}


def best_of_picture(views: Tensor, target: Tensor) -> dict[str, float]:
    """The best scores and their noise level: a grid, then steps of half the size, three times."""
    picture = as_picture(views)
    tried: dict[float, dict[str, float]] = {}

    def attempt(sigma: float) -> float:
        if sigma not in tried:
            values = score(run_bm3d(picture, sigma), target, PROTOCOL)
            tried[sigma] = {name: float(value[0]) for name, value in values.items()}
        return tried[sigma]["psnr"]

    best = max(map(float, SIGMAS), key=attempt)
    factor = float(SIGMAS[1] / SIGMAS[0])
    for _ in range(3):
        factor **= 0.5
        best = max((best / factor, best, best * factor), key=attempt)
    return tried[best] | {"sigma_255": best * 255}


def run_bm3d(picture: NDArray[np.float64], sigma: float) -> Tensor:
    """A (1, 3, H, W) tensor."""
    # With a standard deviation of nought BM3D divides by it.
    cleaned = bm3d.bm3d_rgb(picture, max(sigma, 0.1 / 255))
    return torch.from_numpy(np.asarray(cleaned).transpose(2, 0, 1)[None]).clamp(0, 1).float()


def as_picture(views: Tensor) -> NDArray[np.float64]:
    """(1, 3, H, W) as (H, W, 3)."""
    return views[0].numpy().transpose(1, 2, 0).astype(np.float64)


def print_row(row: dict[str, Any], *, header: bool) -> None:
    if header:
        print("| pairs | input | BM3D, estimated σ | BM3D, best σ | mirnet |")
        print("|---|---|---|---|---|")
    means = [method["mean"] for method in row["methods"].values()]
    cells = [f"{mean['psnr']:.2f} dB / {mean['ssim']:.3f}" for mean in means]
    count = len(row["methods"]["input"]["images"])
    print(f"| {row['folder']} ({count}) | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
