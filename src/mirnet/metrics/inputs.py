"""What every metric asks of its two images before it measures them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mirnet.errors import NonFiniteError


def checked_pair(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The two images in float64, without gradients, once they are known to be comparable.

    Args:
        output: the restored images, ``(N, C, H, W)``, any real dtype and range.
        target: what they should be, same shape and device.

    Raises:
        ValueError: a shape is not ``(N, C, H, W)``, holds no pixels or differs from the other.
        NonFiniteError: a value is NaN or infinite.
    """
    if output.shape != target.shape:
        raise ValueError(
            f"output is {tuple(output.shape)} but target is {tuple(target.shape)}; "
            "nothing is broadcast, crop or resize one of them first"
        )
    if output.ndim != 4 or 0 in output.shape[1:]:
        raise ValueError(f"images must have the shape (N, C, H, W), got {tuple(output.shape)}")
    _require_finite("output", output)
    _require_finite("target", target)
    return _as_float64(output), _as_float64(target)


def require_data_range(data_range: float) -> None:
    """Raise ValueError unless ``data_range`` is a finite number above 0."""
    if not (math.isfinite(data_range) and data_range > 0):
        raise ValueError(
            f"data_range: must be a finite number above 0, such as 1 or 255, got {data_range!r}"
        )


def _require_finite(name: str, images: Tensor) -> None:
    finite = torch.isfinite(images).flatten(1).all(dim=1)
    if not finite.all():
        first = int(finite.logical_not().nonzero()[0])
        raise NonFiniteError(
            f"{name}: image {first} of {len(images)} holds NaN or infinity, which no score can "
            "rate; look for the step that made it"
        )


def _as_float64(images: Tensor) -> Tensor:
    # Apple's GPUs have no float64.
    reachable = images.cpu() if images.device.type == "mps" else images
    return reachable.detach().to(torch.float64)
