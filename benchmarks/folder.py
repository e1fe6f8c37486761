"""A folder of photos beside the network alone: reading and writing should cost nothing.

    python benchmarks/folder.py --photos 10 --megapixels 1 --threads 2

Network and folder take turns, so that a noisy machine troubles both.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference import batch
from mirnet.inference.files import FileSteps
from mirnet.inference.planning import plan
from mirnet.inference.restorer import Restorer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=10)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--suffix", default=".png", help="of the photos, such as .jpg")
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    restorer = Restorer.from_pretrained(options.weights)
    rounds = []
    with tempfile.TemporaryDirectory() as place:
        photos, results = Path(place) / "photos", Path(place) / "results"
        photos.mkdir()
        first = photos / f"0{options.suffix}"
        write_photo(Photo(pixels=noisy_slope(options.megapixels)), first)
        for number in range(1, options.photos):
            shutil.copyfile(first, photos / f"{number}{options.suffix}")
        pixels = read_photo(first).pixels
        restorer(pixels)  # compiles
        for _ in range(options.rounds):
            network = network_alone(restorer, pixels, options.photos)
            folder = whole_folder(restorer, photos, results)
            rounds.append({"network_s": network, "folder_s": folder, "ratio": folder / network})
            print(f"network {network:.1f} s, folder {folder:.1f} s, {folder / network:.3f} times")
    if options.output:
        made = {"options": vars(options) | {"output": None}, "rounds": rounds}
        options.output.write_text(json.dumps(made, indent=2) + "\n", "utf-8")


def noisy_slope(megapixels: float) -> NDArray[np.uint8]:
    """A picture that is as hard to compress as a noisy photo."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    slope = np.linspace(40, 200, height * 4 // 3)[None, :, None]
    noise = np.random.default_rng(0).normal(0, 12, (height, slope.shape[1], 3))
    return (slope + noise).clip(0, 255).astype(np.uint8)


def network_alone(restorer: Restorer, pixels: NDArray[np.uint8], photos: int) -> float:
    """Seconds to restore as many arrays."""
    start = time.perf_counter()
    for _ in range(photos):
        restorer(pixels)
    return time.perf_counter() - start


def whole_folder(restorer: Restorer, photos: Path, results: Path) -> float:
    """Seconds from files to files."""
    shutil.rmtree(results, ignore_errors=True)
    start = time.perf_counter()
    planned = plan([str(photos)], results, suffix=None)
    outcome = batch.run(planned, lambda: FileSteps(restorer), output=results)
    assert outcome.restored == len(planned.jobs), outcome.failures
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
