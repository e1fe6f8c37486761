"""The arithmetic of a run, where the recipe leaves it open."""

from __future__ import annotations

from dataclasses import replace

import torch

from mirnet.errors import DeviceError
from mirnet.inference.devices import choose_dtype
from mirnet.training.recipe import Recipe


def resolved(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with a precision for this device.

    "auto" is bfloat16 where the device computes in it: on the CPU, with AVX-512 BF16 or AMX, a step
    takes about half as long as in float32; without them, eight times as long. Raises DeviceError
    for bfloat16 on a GPU that has none.
    """
    if recipe.precision == "auto":
        return replace(recipe, precision="bfloat16" if _has_bfloat16(device) else "float32")
    if recipe.precision == "bfloat16":
        choose_dtype("bfloat16", device)
    return recipe


def _has_bfloat16(device: torch.device) -> bool:
    if device.type != "cpu":
        try:
            return device.type == "cuda" and choose_dtype("bfloat16", device) is torch.bfloat16
        except DeviceError:
            return False
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
