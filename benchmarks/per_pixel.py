"""What a pixel costs in tiles, beside one piece: processor time, in PyTorch and float32.

    python benchmarks/per_pixel.py --megapixels 1 12 --threads 1 --output results/per_pixel.json

The first size goes in one piece, all go in tiles whose features rest in memory. Of the processor's
time, little is other work that a machine does beside.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from mirnet.environment import processor
from mirnet.inference.fit import fits
from mirnet.inference.streaming.canvas import Memory
from mirnet.inference.streaming.stream import stream
from mirnet.models.mirnet_v2 import MIRNetV2

ASPECT = 4 / 3
CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[1.0, 12.0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network = shipped_network()
    small, *_ = options.megapixels
    rows = [measure(network, small, in_tiles=False)]
    rows += [measure(network, size, in_tiles=True) for size in options.megapixels]
    for row in rows:
        row["times_one_piece"] = row["seconds_per_megapixel"] / rows[0]["seconds_per_megapixel"]
    run = {"processor": processor(), "threads": options.threads, "rows": rows}
    print(json.dumps(run, indent=2))
    if options.output:
        options.output.write_text(json.dumps(run, indent=2) + "\n", "utf-8")


def shipped_network() -> MIRNetV2:
    """The denoiser as PyTorch runs it here: channels last."""
    from mirnet import Restorer

    network = Restorer.from_pretrained("denoising", device="cpu", runtime="torch").model
    assert isinstance(network, MIRNetV2)
    return network


@torch.inference_mode()
def measure(network: MIRNetV2, megapixels: float, *, in_tiles: bool) -> dict[str, Any]:
    """Seconds of the processor, after a tiny picture that warms up."""
    width = round((megapixels * 1e6 * ASPECT) ** 0.5 / 4) * 4
    height = round(width / ASPECT / 4) * 4
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    tile = first_tile(network, height, width) if in_tiles else None
    network(picture[..., :32, :32])
    start = time.process_time()
    if tile is None:
        network(picture)
    else:
        stream(network, picture, tile=tile, rest=Memory(torch.float32, CPU))
    seconds = time.process_time() - start
    return {
        "height": height,
        "width": width,
        "tile": tile,
        "seconds_per_megapixel": seconds / (height * width / 1e6),
    }


def first_tile(network: MIRNetV2, height: int, width: int) -> tuple[int, int]:
    """The tiles that the planner takes first, of those whose features rest in memory."""
    ways = fits(network.config, height, width, dtype=torch.float32, device=CPU)
    return next(way.tile for way in ways if way.tile and way.rests == "device")


if __name__ == "__main__":
    main()
