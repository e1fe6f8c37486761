"""mirnet: restore noisy, dark, blurred and small photos with MIRNet-v2, and train it.

>>> from mirnet import Restorer
>>> restorer = Restorer.from_pretrained("denoising")
>>> restorer.restore_file("noisy.jpg", "clean.png")

The names below are the public API; they are loaded when they are first used, so that importing
mirnet costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mirnet.checkpoints.load import load_model
    from mirnet.checkpoints.store import save_model
    from mirnet.errors import MirnetError
    from mirnet.inference.restorer import Restorer
    from mirnet.models.config import MIRNetV2Config
    from mirnet.models.mirnet_v2 import MIRNetV2
    from mirnet.tasks.registry import TASKS

__version__ = "0.1.0"

__all__ = [
    "TASKS",
    "MIRNetV2",
    "MIRNetV2Config",
    "MirnetError",
    "Restorer",
    "__version__",
    "load_model",
    "save_model",
]

_HOMES = {
    "TASKS": "mirnet.tasks.registry",
    "MIRNetV2": "mirnet.models.mirnet_v2",
    "MIRNetV2Config": "mirnet.models.config",
    "MirnetError": "mirnet.errors",
    "Restorer": "mirnet.inference.restorer",
    "load_model": "mirnet.checkpoints.load",
    "save_model": "mirnet.checkpoints.store",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mirnet' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
