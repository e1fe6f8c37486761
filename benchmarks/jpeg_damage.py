"""How much damage to a JPEG is noticed: cuts, holes and overwritten bytes, in per cent.

python benchmarks/jpeg_damage.py > results/jpeg_damage.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from mirnet.imaging.damage import jpeg_fault

PHOTO = Path(__file__).parents[1] / "examples" / "phone-night.png"
FILES: dict[str, dict[str, Any]] = {
    "chroma subsampled": {},
    "not subsampled": {"subsample_mode": "off"},
    "progressive": {"interlace": True},
    "with restart markers": {"restart_interval": 4},
}
DAMAGES = ("cut", "cut, with an end marker", "hole of up to 2000 bytes", "8 bytes overwritten")
TRIALS = 200


def main() -> None:
    photo = pyvips.Image.new_from_file(str(PHOTO))
    rng = np.random.default_rng(1)
    noticed: dict[str, dict[str, float]] = {}
    for name, options in FILES.items():
        sound = bytes(photo.jpegsave_buffer(Q=90, keep="none", **options))
        assert jpeg_fault(sound) is None
        noticed[name] = {
            damage: 100 * sum(_is_noticed(sound, damage, rng) for _ in range(TRIALS)) / TRIALS
            for damage in DAMAGES
        }
    print(json.dumps({"trials": TRIALS, "noticed_percent": noticed}, indent=2))


def _is_noticed(sound: bytes, damage: str, rng: np.random.Generator) -> bool:
    broken = bytearray(sound)
    at = int(rng.integers(len(sound) // 20, len(sound) * 19 // 20))
    if damage.startswith("hole"):
        del broken[at : at + int(rng.integers(1, 2000))]
    elif damage.startswith("8"):
        broken[at : at + 8] = rng.bytes(8)
    else:
        del broken[at:]
        broken += b"\xff\xd9" if damage.endswith("marker") else b""
    return jpeg_fault(bytes(broken)) is not None


if __name__ == "__main__":
    main()
