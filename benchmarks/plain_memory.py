"""Where the plain network stops: the largest photo that PyTorch's eager float32 takes in one piece.

    python benchmarks/plain_memory.py --output results/plain_memory.json

Each forward runs in a process of its own, whose peak resident memory is read. Two sizes give the
bytes of a pixel, and with them the photo that fills a memory; photos a tenth smaller and larger are
then tried with the process held to 4 GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from mirnet.models.config import MIRNetV2Config

CONFIGS = {"paper": MIRNetV2Config(), "small": MIRNetV2Config.small()}
SIDES = 384, 768
GIB = 1 << 30
HELD_TO = 4 * GIB
MEMORIES = 8, 16, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--child", nargs=3, metavar=("CONFIG", "SIDE", "LIMIT"))
    options = parser.parse_args()
    if options.child:
        name, side, limit = options.child
        print(peak(name, int(side), int(limit)))
        return
    found = {name: measured(name) for name in options.configs}
    print(json.dumps(found, indent=1))
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def measured(name: str) -> dict[str, Any]:
    low, high = (apart(name, side) for side in SIDES)
    assert low is not None
    assert high is not None
    slope = (high - low) / (SIDES[1] ** 2 - SIDES[0] ** 2)
    rest = low - slope * SIDES[0] ** 2
    side = int(((HELD_TO - rest) / slope) ** 0.5) // 4 * 4
    return {
        "bytes_per_pixel": slope,
        "process_bytes": rest,
        "largest_megapixels": {
            f"{memory} GiB": (memory * GIB - rest) / slope / 1e6 for memory in MEMORIES
        },
        "held_to_4_gib": {
            f"{share:g} of the area": apart(name, int(side * share**0.5) // 4 * 4, HELD_TO)
            is not None
            for share in (0.9, 1.1)
        },
    }


def apart(name: str, side: int, limit: int = 0) -> int | None:
    """Peak resident bytes of a forward in a process of its own; None if it ran out of memory."""
    command = [sys.executable, __file__, "--child", name, str(side), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return int(done.stdout)
    if "memory" not in done.stderr:
        raise RuntimeError(done.stderr)
    return None


def peak(name: str, side: int, limit: int) -> int:
    import torch

    from mirnet.models.mirnet_v2 import MIRNetV2

    model, picture = MIRNetV2(CONFIGS[name]).eval(), torch.rand(1, 3, side, side)
    if limit:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    with torch.inference_mode():
        model(picture)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
