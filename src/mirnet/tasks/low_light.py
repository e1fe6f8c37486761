"""Low-light enhancement (Sec. 4.6): LoL."""

from __future__ import annotations

from mirnet.models.config import MIRNetV2Config
from mirnet.tasks.spec import Task

LOW_LIGHT = Task(
    name="low-light",
    summary="brighten what was taken with too little light",
    config=MIRNetV2Config(),
    benchmarks=("lol",),
    weights="low-light-small",
)
