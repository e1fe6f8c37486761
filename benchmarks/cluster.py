"""A folder on a Ray cluster beside the same folder in one process, on as many cores.

    taskset -c 0,1 python benchmarks/cluster.py --photos 300 --cores 2 --output results/cluster.json

Both take turns. The cluster is nodes (raylets) on this machine that part the cores: with --nodes 1,
one worker has them all, and the ratio is what Ray costs; with more, each worker has fewer threads.
A rate is that of the middle four fifths of the photos: the start of processes is told apart. At the
end a worker is killed half-way: the results must be those of one process, byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch

from mirnet.imaging.io import read_photo, write_photo
from mirnet.inference import batch
from mirnet.inference.batch import Outcome
from mirnet.inference.cluster.dispatch import run_on_cluster
from mirnet.inference.cluster.session import SETTINGS
from mirnet.inference.files import FileSteps
from mirnet.inference.jobs import Plan
from mirnet.inference.ledger import NAME
from mirnet.inference.places import Location
from mirnet.inference.planning import plan
from mirnet.inference.restorer import Restorer

EXAMPLE = Path(__file__).parent.parent / "examples" / "phone-night.png"
Tell = Callable[[int, int, Location], None]
Run = Callable[[Plan, Path, Tell], Outcome]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=300, help="6 of which are damaged")
    parser.add_argument("--size", type=int, default=96, help="of a photo's side, in pixels")
    parser.add_argument("--cores", type=int, default=2, help="in all")
    parser.add_argument("--nodes", type=int, default=2, help="that part the cores")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--weights", default="denoising")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    each = max(options.cores // options.nodes, 1)
    with tempfile.TemporaryDirectory() as place:
        photos, here, there = (Path(place) / name for name in ("photos", "here", "there"))
        bad = make_photos(photos, options.photos, options.size)
        local = partial(in_one_process, weights=options.weights, cores=options.cores)
        cluster = partial(on_cluster, weights=options.weights, cores=each)
        rounds = []
        for _ in range(options.rounds):
            one = timed(local, photos, here)
            with nodes(options.nodes, each) as address:
                many = timed(partial(cluster, address=address), photos, there)
            ratio = many["photos_per_s"] / one["photos_per_s"]
            rounds.append({"local": one, "cluster": many, "ratio": ratio})
            print(f"local {one}\ncluster {many}\nthe cluster is {ratio:.3f} times as fast")
        with nodes(options.nodes, each) as address:
            run = partial(killing, run=partial(cluster, address=address))
            killed = timed(run, photos, there)
        print(f"with a worker killed {killed}")
        # The same threads, so that sums are made in the same order.
        timed(partial(local, cores=each), photos, here)
        differing = [name for name, data in contents(here).items() if contents(there)[name] != data]
        assert contents(here).keys() == contents(there).keys()
        assert not differing, differing
        assert killed["restored"] == options.photos - len(bad)
        assert killed["failed"] == bad
        print(f"{killed['restored']} photos are the same, byte for byte; {len(bad)} are named")
    if options.output:
        about = vars(options) | {"output": None}
        made = {"options": about, "rounds": rounds, "killed": killed, "differing": len(differing)}
        options.output.write_text(json.dumps(made, indent=2) + "\n", "utf-8")


@contextmanager
def nodes(count: int, cores: int) -> Iterator[str]:
    """The address of a cluster of so many nodes with so many cores each."""
    os.environ.update(SETTINGS)  # before Ray is imported
    from ray.cluster_utils import Cluster

    few: dict[str, Any] = {"include_dashboard": False, "include_log_monitor": False}
    cluster = Cluster()
    try:
        for _ in range(count):
            cluster.add_node(num_cpus=cores, object_store_memory=80 << 20, **few)
        yield cluster.address
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]


def make_photos(folder: Path, count: int, size: int) -> list[str]:
    """Pieces of the example, in three folders; returns the names of those that are damaged."""
    whole = read_photo(EXAMPLE)
    height, width = whole.pixels.shape[:2]
    bad = {
        "empty.png": b"", "head.png": EXAMPLE.read_bytes()[:20], "marker.jpg": b"\xff\xd8\xff\xe0",
        "text.png": b"not a photo\n", "truncated.png": b"", "zeros.jpg": bytes(5000),
    }  # fmt: skip
    for number in range(count - len(bad)):
        y, x = number * 53 % (height - size), number * 37 % (width - size)
        target = folder / "abc"[number % 3] / f"{number:05}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_photo(whole.with_pixels(whole.pixels[y : y + size, x : x + size].copy()), target)
    sound = (folder / "a" / "00000.png").read_bytes()
    for name, data in (bad | {"truncated.png": sound[: len(sound) // 2]}).items():
        (folder / "b" / name).write_bytes(data)
    return sorted(bad)


def in_one_process(planned: Plan, output: Path, tell: Tell, *, weights: str, cores: int) -> Outcome:
    torch.set_num_threads(cores)
    load = partial(steps, weights, cores, 1)
    return batch.run(planned, load, output=output, progress=tell)


def on_cluster(
    planned: Plan, output: Path, tell: Tell, *, weights: str, cores: int, address: str
) -> Outcome:
    made = partial(steps, weights)
    return run_on_cluster(
        planned,
        lambda: made,
        output=output,
        address=address,
        cores_per_worker=cores,
        progress=tell,
    )


def killing(planned: Plan, output: Path, tell: Tell, *, run: Run) -> Outcome:
    """Kill a worker when half of the photos are done."""
    dead: list[psutil.Process] = []

    def watch(done: int, total: int, source: Location) -> None:
        if done >= total // 2 and not dead:
            workers = (
                each
                for each in psutil.Process().children(recursive=True)
                if each.cmdline() and each.cmdline()[0].startswith("ray::Worker")
            )
            dead.append(next(workers))
            dead[0].send_signal(signal.SIGKILL)
        tell(done, total, source)

    outcome = run(planned, output, watch)
    assert dead
    return outcome


def timed(run: Run, photos: Path, output: Path) -> dict[str, Any]:
    """Figures of a run from nothing."""
    shutil.rmtree(output, ignore_errors=True)
    planned = plan([str(photos)], output, suffix=None)
    start, times = time.perf_counter(), dict[int, float]()

    def tell(done: int, total: int, source: Location) -> None:
        times[done] = time.perf_counter() - start

    outcome = run(planned, output, tell)
    first, last = len(planned.jobs) // 10, len(planned.jobs) * 9 // 10
    return {
        "photos_per_s": (last - first) / (times[last] - times[first]),
        "until_the_first_tenth_s": times[first],
        "all_s": time.perf_counter() - start,
        "restored": outcome.restored,
        "failed": sorted(path.name for path in outcome.failures),
    }


def contents(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file() and each.name != NAME)
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def steps(weights: str, cores: int, share: int) -> FileSteps:
    torch.set_num_threads(cores)
    return FileSteps(Restorer.from_pretrained(weights))


if __name__ == "__main__":
    main()
