"""Super-resolution ×2, ×3 and ×4 (Sec. 4.5): RealSR."""

from __future__ import annotations

from mirnet.models.config import MIRNetV2Config
from mirnet.tasks.spec import Task

SUPER_RESOLUTION = Task(
    name="super-resolution",
    summary="bring back the detail that a longer lens would have caught",
    config=MIRNetV2Config(),
    benchmarks=("realsr-x2", "realsr-x3", "realsr-x4"),
    weights="super-resolution-small",
)
