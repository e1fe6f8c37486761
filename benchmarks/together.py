"""Whether small photos gain by going through the network together, on a CPU.

    python benchmarks/together.py --threads 1 --output results/together.json

Processor time of four photos one after the other over that of the four as one batch: above 1, the
batch gains.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

SIDES = (64, 128, 256)
PHOTOS, ROUNDS = 4, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [measure(side) for side in SIDES]
    print(json.dumps(rows, indent=2))
    if options.output:
        options.output.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")


def measure(side: int) -> dict[str, float | bool]:
    from mirnet import Restorer

    restorer = Restorer.from_pretrained("denoising", device="cpu", runtime="torch")
    photos = torch.rand(PHOTOS, 3, side, side, generator=torch.Generator().manual_seed(0))

    def together() -> torch.Tensor:
        return restorer(photos)

    def apart() -> torch.Tensor:
        return torch.cat([restorer(photo[None]) for photo in photos])

    is_same = bool((together() == apart()).all())
    gain = min(seconds(apart) for _ in range(ROUNDS)) / min(
        seconds(together) for _ in range(ROUNDS)
    )
    return {"side": side, "photos": PHOTOS, "gain": gain, "is_same": is_same}


def seconds(work: Callable[[], torch.Tensor]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
