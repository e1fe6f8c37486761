"""What restoring a photo costs: seconds, peak memory, and the estimate made before.

    python benchmarks/restore_photo.py --megapixels 0.5 2 4 --threads 2
    python benchmarks/restore_photo.py --megapixels 12 --weights paper --memory 8GiB
    python benchmarks/restore_photo.py --megapixels 12 --task super-resolution low-light
    python benchmarks/restore_photo.py --megapixels 0.25 2 --command

Each photo is restored from file to file by a process of its own, which has restored a tiny one
before: start-up is not counted. Memory is the peak of the process above what it held before.
``--command`` times `mirnet restore` as well, from its start to its end, three times: the median.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ASPECT = 4 / 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.5, 2.0, 4.0])
    parser.add_argument("--weights", default="denoising", help='or "paper": its size, random')
    parser.add_argument("--task", nargs="+", help="those of several tasks, one after another")
    parser.add_argument("--memory", help="the most that the process may take, such as 4GiB")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--command", action="store_true", help="time the whole command, too")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--one", nargs=2, metavar=("SOURCE", "TARGET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        source, target = map(Path, options.one)
        print(json.dumps(restore(source, target, options)))
        return
    print("| photo | weights | seconds | peak memory | estimate | estimate / peak | how |")
    print("|---|---|---|---|---|---|---|")
    named = options.task or [options.weights]
    rows = [measure(size, each, options) for each in named for size in options.megapixels]
    for row in rows:
        peak, estimate = float(row["peak_bytes"]), float(row["estimated_bytes"])
        print(
            f"| {row['width']}×{row['height']} | {row['weights']} | {row['seconds']:.1f} "
            f"| {peak / 2**30:.2f} GiB | {estimate / 2**30:.2f} GiB | {estimate / peak:.2f} "
            f"| {row['way']} |" + (f" command {row['command_s']:.1f} s" if options.command else "")
        )
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def measure(megapixels: float, weights: str, options: argparse.Namespace) -> dict[str, Any]:
    """Restore a photo of this size in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "photo.png", Path(folder) / "restored.png"
        write_test_photo(source, megapixels)
        threads = str(options.threads)
        command = [sys.executable, __file__, "--weights", weights, "--threads", threads]
        command += ["--memory", options.memory] if options.memory else []
        result = subprocess.run(
            [*command, "--one", str(source), str(target)],
            check=True,
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": threads},
        )
        row: dict[str, Any] = json.loads(result.stdout)
        if options.command:
            row["command_s"] = command_seconds(source, Path(folder) / "out", row, threads)
    return row


def command_seconds(source: Path, output: Path, row: dict[str, Any], threads: str) -> float:
    """From the start of `mirnet restore` to its end, with weights of one view."""
    command = [sys.executable, "-m", "mirnet", "restore", str(source), "-o", str(output)]
    command += ["--weights", row["weights"], "--overwrite"]
    command += ["--memory", row["limit"]] if row["limit"] else []
    taken = []
    for _ in range(3):
        start = time.monotonic()
        subprocess.run(
            command, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": threads}
        )
        taken.append(time.monotonic() - start)
    return statistics.median(taken)


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


def restore(source: Path, target: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Restore a file and say what it took."""
    import torch

    from mirnet import MIRNetV2, Restorer
    from mirnet.environment import processor
    from mirnet.imaging.io import read_header
    from mirnet.inference.backends.backend import is_there
    from mirnet.inference.backends.openvino import OpenVINO
    from mirnet.inference.cost import memory
    from mirnet.inference.treatment import Treatment
    from mirnet.units import parse_bytes

    torch.set_num_threads(options.threads)
    limit = parse_bytes(options.memory, name="--memory") if options.memory else None
    if options.weights == "paper":
        restorer = Restorer(MIRNetV2(), device="cpu", memory=limit)
    else:
        restorer = Restorer.from_pretrained(options.weights, device="cpu", memory=limit)
    restorer(torch.zeros(1, 3 * restorer.views, 8, 8))
    header = read_header(source)
    way = restorer.require_memory(
        header.height, header.width, Treatment(), where="benchmark", for_8_bits=True
    )
    by = str(way.choice) if way.choice else "PyTorch"
    before = memory(restorer.device, reset=True)  # a trial may have taken more than the photo
    start = time.monotonic()
    restorer.restore_file(source, target, right=source if restorer.views == 2 else None)
    seconds = time.monotonic() - start
    highest = memory(restorer.device, reset=False)
    if before is None or highest is None:
        raise SystemExit("this system does not tell the peak of memory; take Linux")
    peak = highest - before
    return {
        "height": header.height,
        "width": header.width,
        "processor": OpenVINO.setting() if is_there("openvino") else processor(),
        "threads": options.threads,
        "weights": options.weights,
        "limit": options.memory,
        "way": f"{way}, {by}",
        "seconds": seconds,
        "peak_bytes": peak,
        "process_peak_bytes": highest,
        "estimated_bytes": way.memory,
    }


if __name__ == "__main__":
    main()
