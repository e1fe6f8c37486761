"""What restoring a photo costs: seconds, peak memory, and the estimate made before.

    python benchmarks/restore_photo.py --megapixels 0.5 2 4 --threads 2

Each photo is restored from file to file by a process of its own, which has restored a tiny one
before: start-up is not counted. Memory is the peak of the process above what it held before.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ASPECT = 4 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.5, 2.0, 4.0])
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--one", nargs=2, metavar=("SOURCE", "TARGET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        source, target = map(Path, options.one)
        print(json.dumps(restore(source, target, options.weights, options.threads)))
        return
    rows = [measure(size, options.weights, options.threads) for size in options.megapixels]
    print("| photo | seconds | peak memory | estimate | estimate / peak |")
    print("|---|---|---|---|---|")
    for row in rows:
        peak, estimate = float(row["peak_bytes"]), float(row["estimated_bytes"])
        print(
            f"| {row['width']}×{row['height']} | {row['seconds']:.1f} | {peak / 2**30:.2f} GiB "
            f"| {estimate / 2**30:.2f} GiB | {estimate / peak:.2f} |"
        )
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def measure(megapixels: float, weights: str, threads: int) -> dict[str, float]:
    """Restore a photo of this size in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "photo.png", Path(folder) / "restored.png"
        write_test_photo(source, megapixels)
        command = [sys.executable, __file__, "--weights", weights, "--threads", str(threads)]
        result = subprocess.run(
            [*command, "--one", str(source), str(target)],
            check=True,
            capture_output=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )
    row: dict[str, float] = json.loads(result.stdout)
    return row


def write_test_photo(path: Path, megapixels: float) -> None:
    """A smooth picture with noise: the cost depends on the size alone."""
    from mirnet.imaging.io import write_photo
    from mirnet.imaging.photo import Photo

    width = round((megapixels * 1e6 * ASPECT) ** 0.5)
    height = round(width / ASPECT)
    rng = np.random.default_rng(0)
    ramp = np.linspace(40, 200, width, dtype=np.float32)[None, :, None]
    noisy = ramp + rng.normal(0, 20, (height, width, 3)).astype(np.float32)
    write_photo(Photo(pixels=noisy.clip(0, 255).astype(np.uint8)), path)


def restore(source: Path, target: Path, weights: str, threads: int) -> dict[str, float]:
    """Restore a file and say what it took."""
    import psutil
    import torch

    from mirnet import Restorer
    from mirnet.imaging.io import read_header
    from mirnet.inference.memory import estimate_memory

    torch.set_num_threads(threads)
    restorer = Restorer.from_pretrained(weights, device="cpu")
    restorer(np.zeros((8, 8, 3), np.uint8))
    header = read_header(source)
    before = psutil.Process().memory_info().rss
    start = time.monotonic()
    restorer.restore_file(source, target)
    seconds = time.monotonic() - start
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = highest * (1 if sys.platform == "darwin" else 1024) - before
    config, size = restorer.model.config, (header.height, header.width)
    return {
        "height": header.height,
        "width": header.width,
        "threads": threads,
        "seconds": seconds,
        "peak_bytes": peak,
        "estimated_bytes": estimate_memory(config, *size, dtype=restorer.dtype),
    }


if __name__ == "__main__":
    main()
