"""Denoising from RAW beside denoising the JPEG that was developed from it.

Clean photos are taken anew by a camera of known noise (mosaic, shot and read noise, 14 bits), as a
DNG. One is developed and restored; the other is developed, saved as JPEG, and restored.

python -m benchmarks.raw data/clean_cbsd68/val/target --output results/raw.json
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import rawpy
from numpy.typing import NDArray

from mirnet.checkpoints.catalog import resolve
from mirnet.environment import file_sha256
from mirnet.imaging.apart.raw import DEMOSAICING, parameters
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.restorer import Restorer
from tests.imaging.containers.dngs import dng

CAMERAS = {"much light": 10000, "little light": 2000, "very little light": 300}
"""Electrons of a pixel that is white."""
READ_NOISE = 3.0
"""Electrons."""
BLACK, WHITE = 512, 15871
NEUTRAL = (0.5, 1.0, 0.7)
"""What grey is to the sensor."""
COMPARED = ("DHT", "VNG", "AHD")
"""Demosaicings that are restored."""
ALL = ("LINEAR", "VNG", "PPG", "AHD", "DCB", "DHT", "AAHD")
Array = NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of clean photos")
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    weights = resolve(options.weights)
    restorer = Restorer.from_pretrained(weights, runtime="torch")
    photos = sorted(options.folder.iterdir())
    found: dict[str, Any] = {
        "photos": len(photos), "read noise": READ_NOISE, "demosaicing": DEMOSAICING,
        "weights": weights.stem, "sha256": file_sha256(weights),
        "without noise": without_noise(photos),
    }  # fmt: skip
    print("without noise", found["without noise"], flush=True)
    for name, electrons in CAMERAS.items():
        rows = [scores(restorer, path, electrons, number) for number, path in enumerate(photos)]
        means = {key: fmean(row[key] for row in rows) for key in rows[0]}
        found[f"{name}, {electrons} electrons"] = means
        print(name, {key: f"{mean:.2f} dB" for key, mean in means.items()}, flush=True)
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def scores(restorer: Restorer, path: Path, electrons: int, seed: int) -> dict[str, float]:
    """PSNR in dB against the clean photo."""
    clean = read_photo(path).pixels / 255
    taken = dng(
        with_noise(clean, electrons, seed), bits=14, black=BLACK, white=WHITE, neutral=NEUTRAL
    )
    with tempfile.TemporaryDirectory() as folder:
        raw, jpeg = Path(folder, "a.dng"), Path(folder, "a.jpg")
        raw.write_bytes(taken)
        developed = read_photo(raw).pixels
        eight = np.floor(developed / 257 + 0.5).astype(np.uint8)
        write_photo(Photo(pixels=eight), jpeg)
        camera = read_photo(jpeg).pixels
    results: dict[str, Array] = {
        "JPEG": camera,
        "JPEG, restored": restorer(camera),
    }
    for each in COMPARED:
        results[each] = developed_with(taken, each)
        results[f"{each}, restored"] = restorer(results[each])
    return {key: psnr(pixels, clean) for key, pixels in results.items()}


def without_noise(photos: list[Path]) -> dict[str, float]:
    """Mean PSNR in dB of what each demosaicing makes of clean values."""
    rows = []
    for path in photos:
        clean = read_photo(path).pixels / 255
        taken = dng(linear(clean), bits=14, black=BLACK, white=WHITE, neutral=NEUTRAL)
        rows.append({each: psnr(developed_with(taken, each), clean) for each in ALL})
    return {each: fmean(row[each] for row in rows) for each in ALL}


def linear(clean: Array) -> Array:
    light: Array = np.where(clean <= 0.04045, clean / 12.92, ((clean + 0.055) / 1.055) ** 2.4)
    return light


def with_noise(clean: Array, electrons: int, seed: int) -> Array:
    """Linear light with the noise that each colour has behind its filter."""
    rng = np.random.default_rng(seed)
    seen = linear(clean) * NEUTRAL * electrons
    noisy = rng.poisson(seen) + rng.normal(0, READ_NOISE, seen.shape)
    return noisy / electrons / NEUTRAL


def developed_with(content: bytes, demosaicing: str) -> Array:
    with rawpy.imread(io.BytesIO(content)) as raw:
        pixels: Array = raw.postprocess(parameters(demosaicing))
    return pixels


def psnr(pixels: Array, clean: Array) -> float:
    white = np.iinfo(pixels.dtype).max
    return float(-10 * np.log10(np.mean((pixels / white - clean) ** 2)))


if __name__ == "__main__":
    main()
