"""How far bfloat16 in tiles is from bfloat16 in one piece, on photos, with the weights that ship.

    python benchmarks/bfloat16_tiles.py data/denoise_*/val --output results/bfloat16_tiles.json

In steps of 8 bits (1/255): the largest difference of a photo and, beside it, the largest difference
of bfloat16 in one piece from float32, which is what the arithmetic itself costs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from mirnet.checkpoints.catalog import resolve
from mirnet.checkpoints.load import load_model
from mirnet.imaging.io import read_photo
from mirnet.imaging.quantize import to_planes
from mirnet.inference.padding import pad
from mirnet.inference.streaming.canvas import Memory
from mirnet.inference.streaming.stream import stream
from mirnet.models.mirnet_v2 import MIRNetV2

CPU = torch.device("cpu")
TILE = 96, 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="with input/, or inputL/ and inputR/")
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--output", type=Path, help="add the figures to this JSON")
    options = parser.parse_args()
    model = load_model(resolve(options.weights)).eval()
    assert isinstance(model, MIRNetV2)
    print(options.weights)
    print("| photos | tiles from one piece | bfloat16 from float32 |\n|---|---|---|")
    found = {}
    for folder in options.folders:
        names = sorted(each.name for each in (folder / "target").iterdir())
        views = ["inputL", "inputR"] if (folder / "inputL").is_dir() else ["input"]
        apart = [
            differences(model, torch.cat([planes(folder / view / name) for view in views], 1))
            for name in names
        ]
        tiles, arithmetic = (max(each) for each in zip(*apart, strict=True))
        name = f"{folder.parent.name} ({len(names)})"
        found[name] = {"weights": options.weights, "tiles": tiles, "arithmetic": arithmetic}
        print(f"| {name} | {tiles:.2f} | {arithmetic:.2f} |", flush=True)
    if options.output:
        known = json.loads(options.output.read_text()) if options.output.exists() else {}
        options.output.write_text(json.dumps(known | found, indent=1) + "\n", "utf-8")


@torch.inference_mode()
def differences(model: MIRNetV2, image: Tensor) -> tuple[float, float]:
    """Largest differences in steps of 8 bits: tiles from one piece, bfloat16 from float32."""
    image = pad(image, model.config.multiple)
    exact = model(image)
    with torch.autocast("cpu", torch.bfloat16):
        whole = model(image).float()
        tiles = stream(model, image, tile=TILE, rest=Memory(torch.bfloat16, CPU)).float()
    return steps(tiles - whole), steps(whole - exact)


def steps(difference: Tensor) -> float:
    return float(difference.abs().max()) * 255


def planes(path: Path) -> Tensor:
    return torch.from_numpy(to_planes(read_photo(path).pixels))[None]


if __name__ == "__main__":
    main()
