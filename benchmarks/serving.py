"""Many clients at one server: what they get, how long it takes, and what it holds of memory.

    python benchmarks/serving.py --clients 200 --seconds 60 --output results/serving.json

Each client sends a photo to ``/v1/restore`` again and again, and comes back when a refusal (429)
says so. Times are of requests that were served, from the first byte sent to the last one read,
the wait in the queue among them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--side", type=int, default=64, help="of the photo, in pixels")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        write_test_photo(photo, options.side)
        figures = measure(photo, options.clients, options.seconds)
    print(json.dumps(figures, indent=2))
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def write_test_photo(path: Path, side: int) -> None:
    from mirnet.imaging.io import write_photo
    from mirnet.imaging.photo import Photo

    pixels = np.random.default_rng(0).normal(90, 12, (side, side, 3)).clip(0, 255)
    write_photo(Photo(pixels=pixels.astype(np.uint8)), path)


def measure(photo: Path, clients: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "mirnet", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        address = server.stdout.readline().split()[3]
        wait_until_ready(address)
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(True)]
        asyncio.run(load(address, photo, 4, 3.0))  # what is loaded late is loaded now
        before = held(processes)
        results = asyncio.run(load(address, photo, clients, seconds, processes))
    finally:
        server.terminate()
        server.wait(30)
    times = np.array(results["times"])
    return {
        "clients": clients,
        "seconds": seconds,
        "photo_pixels": f"{photo_side(photo)}×{photo_side(photo)}",
        "answers": results["answers"],
        "served_per_s": len(times) / seconds,
        "p50_s": float(np.percentile(times, 50)),
        "p99_s": float(np.percentile(times, 99)),
        "memory_before_bytes": before,
        "memory_most_bytes": max(results["memory"]),
        "memory_last_bytes": results["memory"][-1],
    }


def photo_side(photo: Path) -> int:
    from mirnet.imaging.io import read_header

    return read_header(photo).width


def wait_until_ready(address: str) -> None:
    while httpx.get(f"{address}readyz", timeout=30).status_code != 200:
        time.sleep(0.2)


def held(processes: list[psutil.Process]) -> int:
    return sum(process.memory_info().rss for process in processes)


async def load(
    address: str,
    photo: Path,
    clients: int,
    seconds: float,
    processes: list[psutil.Process] | None = None,
) -> dict[str, Any]:
    """All clients at once, for so long."""
    content = photo.read_bytes()
    answers: Counter[str] = Counter()
    times: list[float] = []
    memory: list[int] = []
    until = time.monotonic() + seconds

    async def client(http: httpx.AsyncClient) -> None:
        while time.monotonic() < until:
            start = time.monotonic()
            try:
                response = await http.post("/v1/restore", files={"photo": ("a.png", content)})
            except httpx.HTTPError as error:
                answers[type(error).__name__] += 1
                continue
            answers[str(response.status_code)] += 1
            if response.status_code == 200:
                times.append(time.monotonic() - start)
            elif response.status_code == 429:
                await asyncio.sleep(float(response.headers["Retry-After"]))

    async def watch() -> None:
        while time.monotonic() < until:
            memory.append(held(processes or []))
            await asyncio.sleep(1)

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as http:
        await asyncio.gather(watch(), *(client(http) for _ in range(clients)))
    return {"answers": dict(answers), "times": times, "memory": memory}


if __name__ == "__main__":
    main()
