"""Contrast and colour enhancement (Sec. 4.6): MIT-Adobe FiveK."""

from __future__ import annotations

from mirnet.models.config import MIRNetV2Config
from mirnet.tasks.spec import Task

RETOUCHING = Task(
    name="retouching",
    summary="give a flat photo the tones and colours of a retoucher",
    config=MIRNetV2Config(),
    benchmarks=("fivek",),
    weights="retouching-small",
)
