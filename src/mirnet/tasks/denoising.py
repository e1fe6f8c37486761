"""Image denoising (Sec. 4.4): SIDD and DND."""

from __future__ import annotations

from mirnet.models.config import MIRNetV2Config
from mirnet.tasks.spec import Task

DENOISING = Task(
    name="denoising",
    summary="remove the noise of small sensors and little light",
    config=MIRNetV2Config(),
    benchmarks=("sidd", "dnd"),
    weights="denoising-small",
)
