"""Crops of 128 from packed pictures, against decoding the PNG for each: crops a second on one core.

python benchmarks/crops.py [--output results/crops.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mirnet.data.packing import pack
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture, Picture
from mirnet.data.transforms import random_region
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo

SIZE = (1120, 1680)
"""Of a picture of DPDD, which has 16 bits."""
PATCH = 128
PICTURES = 6
SECONDS = 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [FilePicture(_photo(Path(folder) / f"{n}.png", n)) for n in range(PICTURES)]
        pairs = [Pair(id=str(n), views=(), target=file) for n, file in enumerate(files)]
        packed = pack(pairs, Path(folder) / "packed", dataset="clean", split="train").pairs
        rates = {
            "decoding the PNG": crops_a_second(lambda n: files[n]),
            "packed": crops_a_second(lambda n: packed[n].target),
        }
        # Once more in the other order: what comes second finds warmer caches.
        rates["packed, again"] = crops_a_second(lambda n: packed[n].target)
        rates["decoding, again"] = crops_a_second(lambda n: files[n])
    slow = max(rates["decoding the PNG"], rates["decoding, again"])
    fast = min(rates["packed"], rates["packed, again"])
    for name, rate in rates.items():
        print(f"{name:18} {rate:12,.1f} crops a second")
    print(f"packed is {fast / slow:,.0f} times as fast")
    if options.output:
        facts = {
            "picture": [*SIZE, 3, "uint16"],
            "patch": PATCH,
            "crops_per_second": rates,
            "times_as_fast": fast / slow,
            "cpu": platform.machine(),
            "cores": os.cpu_count(),
        }
        options.output.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def crops_a_second(pictures: Callable[[int], Picture | None]) -> float:
    """Crops as float arrays that a second gives, from pictures drawn at random."""
    rng = np.random.default_rng(0)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        picture = pictures(int(rng.integers(PICTURES)))
        assert picture is not None
        crop = picture.pixels(random_region(picture.layout().size, PATCH, rng))
        np.ascontiguousarray(crop).astype(np.float32)
        done += 1
    return done / (time.perf_counter() - start)


def _photo(path: Path, seed: int) -> Path:
    """Smooth with grain, so that it compresses as a photo does."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] / 200
    values = np.stack([np.sin(rows * a) * np.cos(columns * a) for a in (1.0, 1.3, 1.7)], -1) * 0.4
    values = values + 0.5 + rng.normal(0, 0.01, values.shape)
    pixels = (np.clip(values, 0, 1) * 65535).astype(np.uint16)
    write_photo(Photo(pixels=pixels), path)
    return path


if __name__ == "__main__":
    main()
