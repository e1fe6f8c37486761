"""What a training step costs: patches a second, where the time goes, and memory against the plan.

    python benchmarks/training_step.py --presets paper small --batch-size 2 --steps 5

The engine's step (channels last, Adam, the arithmetic that is asked for) is compared with a plain
eager float32 loop in the same run, turn by turn. Data is packed noise, drawn as a run draws it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mirnet.data.loader import SampleRequest, Source, TrainingSamples, make_loader
from mirnet.data.packing import pack
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.devices import choose_device
from mirnet.models.network import Network
from mirnet.models.networks import build
from mirnet.training.budget import memory_model
from mirnet.training.engine import compiled, make_fabric
from mirnet.training.objective import objective
from mirnet.training.recipe import (
    DataRecipe,
    ModelRecipe,
    Recipe,
    ScheduleRecipe,
    SourceRecipe,
    Stage,
)
from mirnet.training.step import take_step

PATCH = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", default=["paper"], choices=["paper", "small"])
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--threads", type=int, default=0, help="of a CPU; torch's default if 0")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", choices=["memory"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    if options.one:
        recipe = recipe_of(options, options.presets[0], options.precisions[0])
        print(json.dumps(peak_of_a_step(recipe, device)))
        return
    rows = []
    for preset, precision in itertools.product(options.presets, options.precisions):
        recipe = recipe_of(options, preset, precision)
        row = {"preset": preset, "precision": precision, **speed(recipe, device, options.steps)}
        row |= memory(recipe, device, options, preset, precision)
        rows.append(row)
        print(json.dumps(row, indent=1))
    if options.output:
        facts = {
            "batch_size": options.batch_size,
            "patch_size": PATCH,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "rows": rows,
        }
        options.output.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def recipe_of(options: argparse.Namespace, preset: Any, precision: Any) -> Recipe:
    return Recipe(
        precision=precision,
        model=ModelRecipe(preset=preset),
        data=DataRecipe(sources=(SourceRecipe(path=Path("none")),)),
        schedule=ScheduleRecipe(
            stages=(Stage(steps=1000, patch_size=PATCH, batch_size=options.batch_size),)
        ),
    )


def speed(recipe: Recipe, device: torch.device, steps: int) -> dict[str, float]:
    """Patches a second of the engine and of a plain loop, and the shares of a step."""
    batch_size = recipe.schedule.stages[0].batch_size
    with tempfile.TemporaryDirectory() as folder:
        samples = TrainingSamples((source_in(Path(folder)),), seed=0)
        requests = (
            [SampleRequest(batch_size * step + n, PATCH) for n in range(batch_size)]
            for step in range(10_000)
        )
        loader = make_loader(samples, requests, workers=0)
        fabric = make_fabric(recipe, device)
        fabric.launch()
        network, optimizer = network_of(recipe, device)
        engine, stepper = fabric.setup(compiled(network, recipe), optimizer)
        plain, adam = plain_of(recipe, device)
        times: dict[str, list[float]] = {name: [] for name in ("data", "engine", "plain")}
        for step in range(steps + 1):
            batch = timed(times["data"], device, lambda: next(loader))
            timed(
                times["engine"], device,
                lambda batch=batch: take_step(fabric, engine, stepper, batch, recipe, 0),
            )  # fmt: skip
            timed(
                times["plain"], device, lambda batch=batch: plain_step(plain, adam, batch, recipe)
            )
            if step == 0:  # the first one of each doesn't count
                for values in times.values():
                    values.clear()
        parts = shares(fabric, engine, stepper, batch, recipe, device)
    middle = {name: float(np.median(values)) for name, values in times.items()}
    return {
        "patches_per_s": batch_size / (middle["data"] + middle["engine"]),
        "plain_float32_patches_per_s": batch_size / (middle["data"] + middle["plain"]),
        "times_as_fast": (middle["data"] + middle["plain"]) / (middle["data"] + middle["engine"]),
        "data_share": middle["data"] / (middle["data"] + middle["engine"]),
        **parts,
    }


def network_of(recipe: Recipe, device: torch.device) -> tuple[Network, torch.optim.Optimizer]:
    """As a run makes it."""
    torch.manual_seed(0)
    network = build(recipe.model.config()).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, torch.optim.Adam(network.parameters(), lr=1e-4)


def plain_of(recipe: Recipe, device: torch.device) -> tuple[Network, torch.optim.Optimizer]:
    """As a script would make it."""
    torch.manual_seed(0)
    network = build(recipe.model.config()).to(device)
    return network, torch.optim.Adam(network.parameters(), lr=1e-4)


def plain_step(network: Network, adam: torch.optim.Optimizer, batch: Any, recipe: Recipe) -> None:
    device = next(network.parameters()).device
    views, target = (part.to(device) for part in batch)
    loss = objective(recipe.optim, network(views), target)
    adam.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    adam.step()


def shares(
    fabric: Any, model: Any, optimizer: Any, batch: Any, recipe: Recipe, device: torch.device
) -> dict[str, float]:
    """How a step divides into forward, backward and optimiser."""
    times: dict[str, list[float]] = {name: [] for name in ("forward", "backward", "optimiser")}
    for _ in range(3):
        views, target = (fabric.to_device(part) for part in batch)

        def forward(views: Tensor = views, target: Tensor = target) -> Tensor:
            return objective(recipe.optim, model(views), target)

        loss = timed(times["forward"], device, forward)
        timed(times["backward"], device, lambda loss=loss: fabric.backward(loss))
        timed(times["optimiser"], device, optimizer.step)
        optimizer.zero_grad()
    middle = {name: float(np.median(values)) for name, values in times.items()}
    return {f"{name}_share": value / sum(middle.values()) for name, value in middle.items()}


def memory(
    recipe: Recipe, device: torch.device, options: argparse.Namespace, preset: str, precision: str
) -> dict[str, float]:
    """The peak of a step, in a process of its own, against the plan's estimate."""
    fixed, per_pixel = memory_model(recipe, device.type)
    estimate = fixed + per_pixel * recipe.schedule.stages[0].batch_size * PATCH**2
    command = [
        sys.executable, __file__, "--one", "memory", "--presets", preset,
        "--batch-size", str(options.batch_size), "--device", options.device,
        "--precisions", precision, "--threads", str(options.threads),
    ]  # fmt: skip
    peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {"planned_gb": estimate / 1e9, "peak_gb": peak / 1e9, "planned_to_peak": estimate / peak}


def peak_of_a_step(recipe: Recipe, device: torch.device) -> int:
    """Bytes at the peak of two steps: of the process on a CPU, of the device on a GPU."""
    fabric = make_fabric(recipe, device)
    fabric.launch()
    network, optimizer = network_of(recipe, device)
    model, stepper = fabric.setup(compiled(network, recipe), optimizer)
    batch_size = recipe.schedule.stages[0].batch_size
    batch = (torch.rand(batch_size, 3, PATCH, PATCH), torch.rand(batch_size, 3, PATCH, PATCH))
    for _ in range(2):
        take_step(fabric, model, stepper, batch, recipe, 0)
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total - free
    # Not ru_maxrss, which remembers what the parent held when this process was forked off.
    status = Path("/proc/self/status").read_text("utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def source_in(folder: Path) -> Source:
    """Two packed pairs of noise."""
    pairs = []
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (512, 512, 3), np.uint8)
        path = folder / f"{number}.png"
        write_photo(Photo(pixels=pixels), path)
        file = FilePicture(path)
        pairs.append(Pair(id=str(number), views=(file,), target=file))
    packed = pack(pairs, folder / "packed", dataset="pairs", split="train")
    return Source(pairs=packed.pairs, weight=1)


def timed(times: list[float], device: torch.device, work: Any) -> Any:
    """Do the work and note how long it took, until the device has done it."""
    start = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    times.append(time.perf_counter() - start)
    return result


if __name__ == "__main__":
    main()
