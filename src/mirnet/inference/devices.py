"""Where to compute, and in which arithmetic."""

from __future__ import annotations

import logging

import torch

from mirnet.choices import Arithmetic
from mirnet.errors import ConfigError, DeviceError

DTYPES: dict[Arithmetic, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


logger = logging.getLogger("mirnet")


def choose_device(device: str) -> torch.device:
    """The device of that name, or the best there is for ``auto``; DeviceError if it isn't there."""
    found = ["cpu"]
    if torch.backends.mps.is_available():
        found.insert(0, "mps")
    if torch.cuda.is_available():
        found[:0] = ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if device == "auto":
        return torch.device(found[0])
    if device not in found:
        raise DeviceError(f"device {device}: is not there; choose auto, {', '.join(found)}")
    return torch.device(device)


def choose_dtype(precision: str, device: torch.device, *, for_8_bits: bool = False) -> torch.dtype:
    """The arithmetic of that name.

    ``auto`` is float32, and bfloat16 on a CUDA device that has it for what is rounded to 8 bits.
    """
    has_bfloat16 = device.type != "cuda" or _has_bfloat16(device)
    if precision == "auto":
        lowers = for_8_bits and device.type == "cuda" and has_bfloat16
        return torch.bfloat16 if lowers else torch.float32
    if precision not in DTYPES:
        raise ConfigError(f"precision: must be one of auto, {', '.join(DTYPES)}, got {precision!r}")
    if precision == "bfloat16" and not has_bfloat16:
        raise DeviceError(f"device {device}: has no bfloat16; choose float16 or float32")
    if device.type == "cpu" and is_emulated(DTYPES[precision]):
        logger.warning(
            "precision: this processor only emulates %s, which takes several times as long as "
            "float32", precision
        )  # fmt: skip
    return DTYPES[precision]


def _has_bfloat16(device: torch.device) -> bool:
    """Whether that GPU has it; ``torch.cuda.is_bf16_supported`` looks at the current one."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= 8


def is_emulated(dtype: torch.dtype) -> bool:
    """Whether PyTorch's convolutions have no instructions for an arithmetic on this processor.

    With AVX2 the small network took four times as long in bfloat16 as in float32.
    """
    has_them = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if dtype == torch.float32 or not has_them:
        return False
    ops = torch.ops.mkldnn
    is_bfloat16 = dtype == torch.bfloat16
    if is_bfloat16 and torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        # oneDNN has a path for all of these, which is slow on those without the instructions.
        return not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    asked = ops._is_mkldnn_bf16_supported if is_bfloat16 else ops._is_mkldnn_fp16_supported
    return not asked()


def settle(device: torch.device) -> None:
    """Wait until a device has done what it was given, so that a time ends with the work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
