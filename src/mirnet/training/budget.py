"""What a run takes: memory of each step, samples seen, and hours, before it is started.

A step's memory is counted, not guessed: the tensors that the backward pass keeps are listed by
running the network on fake tensors, which hold no numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from mirnet.errors import RecipeError
from mirnet.inference.devices import DTYPES, settle
from mirnet.models.network_config import NetworkConfig
from mirnet.models.networks import build
from mirnet.training.engine import compiled, make_fabric
from mirnet.training.recipe import Recipe, Stage
from mirnet.training.schedule import parts_of

COUNTED = 64
"""Height and width of the patch that memory is counted on, in pixels; it grows with the pixels."""
BYTES_A_PARAMETER = 4 + 4 + 8 + 4
"""Weight, gradient, Adam's two moments, and the average."""
OVERHEAD = {"cuda": 700 * 2**20, "cpu": 400 * 2**20}
"""What the device's libraries take before the first step, in bytes."""
TRANSIENT = 1.15
"""The backward pass holds a few tensors beyond what it kept, and allocators round up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """How a stage is done by one of several equal processes.

    Attributes:
        stage: the recipe's stage.
        at_once: samples that go through the network together.
        parts: how many times that is done for a step.
        memory: bytes that it takes on a device.
        seconds: of a step, measured; None where it can't be.
    """

    stage: Stage
    at_once: int
    parts: int
    memory: int
    seconds: float | None = None

    @property
    def samples(self) -> int:
        """Samples that the stage sees, over all processes."""
        return self.stage.steps * self.stage.batch_size

    @property
    def hours(self) -> float | None:
        """How long the stage takes."""
        return None if self.seconds is None else self.seconds * self.stage.steps / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A recipe that fits, and its stages.

    Attributes:
        recipe: with ``optim.pixels_at_once`` and, where nothing else helps, ``recompute``.
        stages: in order.
    """

    recipe: Recipe
    stages: tuple[StagePlan, ...]

    @property
    def samples(self) -> int:
        """Samples that the run sees."""
        return sum(stage.samples for stage in self.stages)


def fit(recipe: Recipe, memory: int, *, device: str) -> RunPlan:
    """The recipe with as many samples at once as fit into a device's memory.

    Args:
        recipe: with its devices and nodes; the batch of a step stays as it is.
        memory: of each device, in bytes.
        device: ``"cuda"`` or ``"cpu"``.

    Raises RecipeError if not even one sample of the largest patch fits.
    """
    largest = max(stage.patch_size**2 for stage in recipe.schedule.stages)
    for recompute in dict.fromkeys((recipe.recompute, True)):
        tried = replace(recipe, recompute=recompute)
        fixed, per_pixel = memory_model(tried, device)
        pixels = int((memory - fixed) / per_pixel)
        if pixels >= largest:
            optim = replace(recipe.optim, pixels_at_once=pixels)
            fitting = replace(tried, optim=optim)
            plans = tuple(
                _planned(fitting, stage, fixed, per_pixel) for stage in recipe.schedule.stages
            )
            return RunPlan(recipe=fitting, stages=plans)
    raise RecipeError(
        f"schedule.stages.patch_size: one patch of {largest} pixels takes "
        f"{(fixed + per_pixel * largest) / 1e9:.1f} GB, and there are {memory / 1e9:.1f} GB; make "
        "patches or the network smaller, or train on a device with more memory"
    )


def memory_model(recipe: Recipe, device: str) -> tuple[int, float]:
    """Bytes that a process takes whatever it does, and bytes for each pixel at once."""
    config = recipe.model.config()
    parameters = sum(parameter.numel() for parameter in build(config).parameters())
    kept = bytes_kept(config, DTYPES[_half(recipe.precision)], recompute=recipe.recompute)
    fixed = OVERHEAD.get(device, 0) + parameters * BYTES_A_PARAMETER
    return fixed, kept / COUNTED**2 * TRANSIENT


def bytes_kept(config: NetworkConfig, dtype: torch.dtype, *, recompute: bool) -> int:
    """Bytes that the backward pass keeps of a patch of `COUNTED` × `COUNTED` pixels."""
    with FakeTensorMode():
        model = build(config)
        picture = torch.rand(1, config.in_channels, COUNTED, COUNTED)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            if not recompute:
                return _kept_by(model, picture)
            shallow: torch.Tensor = model.conv_in(picture)
            largest = max(_kept_by(group, shallow) for group in model.groups)
            return largest + (len(model.groups) + 2) * shallow.nbytes


def measured(plan: RunPlan, device: torch.device, progress: Callable[[int, int], None]) -> RunPlan:
    """The plan with the time of a step of each stage, measured with one part of it."""
    fabric = make_fabric(replace(plan.recipe, devices=1, nodes=1), device)
    network = build(plan.recipe.model.config()).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-6)
    model, _ = fabric.setup(compiled(network, plan.recipe), optimizer)
    timed = []
    for number, each in enumerate(plan.stages):
        # A CPU is busy with one sample; on a GPU a sample alone would leave it idle.
        samples = 1 if device.type == "cpu" else each.at_once
        size = each.stage.patch_size
        channels = plan.recipe.model.config().in_channels
        views = torch.rand(samples, channels, size, size, device=device)

        def part(views: torch.Tensor = views) -> None:
            fabric.backward(model(views).float().square().mean())

        seconds = _timed(part, device) * each.at_once / samples * each.parts
        timed.append(replace(each, seconds=seconds))
        progress(number + 1, len(plan.stages))
    return replace(plan, stages=tuple(timed))


def _planned(recipe: Recipe, stage: Stage, fixed: int, per_pixel: float) -> StagePlan:
    processes = recipe.devices * recipe.nodes
    if stage.batch_size % processes:
        raise RecipeError(
            f"schedule.stages.batch_size: {stage.batch_size} can't be shared equally among "
            f"{processes} processes"
        )
    parts = parts_of(stage, processes, recipe.optim.pixels_at_once)
    at_once = stage.batch_size // processes // parts
    memory = fixed + int(per_pixel * at_once * stage.patch_size**2)
    return StagePlan(stage=stage, at_once=at_once, parts=parts, memory=memory)


def _kept_by(module: torch.nn.Module, image: torch.Tensor) -> int:
    """Bytes of the tensors that the module's backward pass needs, each counted once."""
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(image)
    own = {parameter.untyped_storage()._cdata for parameter in module.parameters()}
    return sum(storage.nbytes() for key, storage in kept.items() if key not in own)


def _timed(work: Callable[[], None], device: torch.device) -> float:
    """The median of three runs after one that doesn't count, in seconds."""
    times = []
    for _ in range(4):
        settle(device)
        start = time.perf_counter()
        work()
        settle(device)
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[1]


def _half(precision: str) -> Any:
    return "bfloat16" if precision == "auto" else precision
