"""Dual-pixel defocus deblurring (Sec. 4.3): DPDD."""

from __future__ import annotations

from mirnet.models.config import MIRNetV2Config
from mirnet.tasks.spec import Task

DUAL_PIXEL_DEBLURRING = Task(
    name="dual-pixel-deblurring",
    summary="sharpen what is out of focus, from the two views of a dual-pixel sensor",
    config=MIRNetV2Config(in_channels=6, residual="features"),
    views=2,
    benchmarks=("dpdd",),
    weights="dual-pixel-deblurring-small",
)
