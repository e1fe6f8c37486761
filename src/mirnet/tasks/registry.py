"""All tasks, by name. A new one is written in a file of its own and named here."""

from __future__ import annotations

from mirnet.tasks.denoising import DENOISING
from mirnet.tasks.dual_pixel_deblurring import DUAL_PIXEL_DEBLURRING
from mirnet.tasks.low_light import LOW_LIGHT
from mirnet.tasks.retouching import RETOUCHING
from mirnet.tasks.spec import Task
from mirnet.tasks.super_resolution import SUPER_RESOLUTION

TASKS: dict[str, Task] = {
    task.name: task
    for task in (DENOISING, DUAL_PIXEL_DEBLURRING, SUPER_RESOLUTION, LOW_LIGHT, RETOUCHING)
}
