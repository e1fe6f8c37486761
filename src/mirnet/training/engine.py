"""What the loop runs on: devices, processes, arithmetic and memory."""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision, Precision
from torch.utils.checkpoint import checkpoint

from mirnet.errors import DeviceError, RecipeError
from mirnet.models.network import Network
from mirnet.training.recipe import Recipe


class Autocast(MixedPrecision):
    """Half precision within the network alone.

    Fabric's own rounds the pictures that go in; the residual would add what it has lost of them.
    """

    def convert_input(self, data: Any) -> Any:
        """Leave it as it is."""
        return data

    def convert_output(self, data: Any) -> Any:
        """Leave it as it is: the last layer is in float32."""
        return data


def make_fabric(recipe: Recipe, device: torch.device) -> Fabric:
    """The engine of a run: one process, several of this machine, or what torchrun has started.

    Raises RecipeError if the recipe and torchrun ask for different numbers of processes, and
    DeviceError if there are fewer devices.
    """
    devices, nodes = processes(recipe)
    _require_devices(devices, device)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    return Fabric(
        accelerator=device.type,
        devices=devices if device.type != "cuda" or device.index is None else [device.index],
        num_nodes=nodes,
        strategy="ddp" if devices * nodes > 1 else "auto",
        plugins=[_precision(recipe.precision, device)],
    )


def _require_devices(devices: int, device: torch.device) -> None:
    there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(device.type, devices)
    if devices > there:
        raise DeviceError(f"devices: {devices} were asked for, and there are {there} {device.type}")


def processes(recipe: Recipe) -> tuple[int, int]:
    """Processes on each machine, and machines: the recipe's, or torchrun's, which knows better."""
    devices, nodes = recipe.devices, recipe.nodes
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        if nodes > 1 and "SLURM_NTASKS" not in os.environ:
            raise RecipeError(
                f"nodes: {nodes} machines are started by torchrun, on each of them; see "
                "docs/training.md, or leave nodes out"
            )
        return devices, nodes
    here, everywhere = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    if devices * nodes not in (1, everywhere):
        raise RecipeError(
            f"devices: the recipe asks for {devices} on {nodes} machines, torchrun has started "
            f"{everywhere} processes; leave devices and nodes to torchrun"
        )
    return here, everywhere // here


def compiled(model: Network, recipe: Recipe) -> torch.nn.Module:
    """The network as the loop calls it; its weights are those of ``model``."""
    if recipe.recompute:
        for group in model.groups:
            group.forward = partial(checkpoint, group.forward, use_reentrant=False)
    if recipe.compile:
        module: torch.nn.Module = torch.compile(model)  # type: ignore[assignment]
        return module
    return model


def _precision(name: str, device: torch.device) -> Precision:
    if name == "bfloat16":
        return Autocast("bf16-mixed", device.type)
    if name == "float16":
        return Autocast("16-mixed", device.type, torch.amp.GradScaler(device.type))
    return Precision()
