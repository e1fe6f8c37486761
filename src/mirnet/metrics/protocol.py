"""What each benchmark means by its scores: protocols as data, and the one function that obeys them.

"PSNR" and "SSIM" are several things. Benchmarks differ in whether the saved 8-bit file or the
network's float output is scored, in colour, border and SSIM, and a table mixes them freely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from mirnet.choices import ProtocolName
from mirnet.imaging.color import rgb_to_y
from mirnet.imaging.quantize import quantize
from mirnet.metrics.inputs import checked_pair
from mirnet.metrics.lpips import Lpips
from mirnet.metrics.mae import mae
from mirnet.metrics.psnr import psnr
from mirnet.metrics.ssim import ssim_uniform, ssim_volume, ssim_wang

Color = Literal["rgb", "y"]
Ssim = Literal["volume", "wang", "uniform"]
Metric = Literal["psnr", "ssim", "mae", "lpips"]
LOWER_IS_BETTER: frozenset[str] = frozenset({"mae", "lpips"})
"""Metrics that measure a distance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How a benchmark scores one image. Raises ValueError that names the field and the rule.

    Attributes:
        name: its key in `PROTOCOLS`, to stand beside every score.
        version: rises when the same picture would be scored otherwise than before.
        round_to_8bit: whether the pixels of the saved 8-bit file are scored, or the float output
            clipped to [0, 1].
        color: the channels that are scored: all of them, or the luma of MATLAB's ``rgb2ycbcr``.
        crop: pixels cut off at the top, bottom, left and right before scoring.
        peak: the ``data_range`` of the metrics: 255 for 8-bit pixels, 1 for float ones.
        ssim: which form of SSIM, see `mirnet.metrics.ssim`.
        metrics: what is measured, in the order of the table's columns.
    """

    name: ProtocolName
    version: int = 1
    round_to_8bit: bool
    color: Color
    crop: tuple[int, int, int, int]
    peak: float
    ssim: Ssim
    metrics: tuple[Metric, ...]

    def __post_init__(self) -> None:
        """Check the fields against each other."""
        for field, value, kind in (("color", self.color, Color), ("ssim", self.ssim, Ssim)):
            _require_choice(field, value, get_args(kind))
        for metric in self.metrics:
            _require_choice("metrics", metric, get_args(Metric))
        if not self.metrics or len(set(self.metrics)) < len(self.metrics):
            raise ValueError(f"metrics: must name one or more, each once, got {self.metrics!r}")
        if len(self.crop) != 4 or min(self.crop) < 0:
            raise ValueError(f"crop: must be (top, bottom, left, right) ≥ 0, got {self.crop!r}")
        if self.peak != (255.0 if self.round_to_8bit else 1.0):
            raise ValueError(
                f"peak: must be 255 when round_to_8bit is true and 1 when not, got {self.peak!r}"
            )
        if self.color == "y" and not self.round_to_8bit:
            raise ValueError('color: "y" is defined for 8-bit images, set round_to_8bit=True')


def _require_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{field}: must be one of {', '.join(choices)}, got {value!r}")


def _realsr(name: ProtocolName, scale: int) -> Protocol:
    # The benchmark's script keeps the rows and columns s … end-s, counted from 1.
    return Protocol(
        name=name,
        round_to_8bit=True,
        color="y",
        crop=(scale - 1, scale, scale - 1, scale),
        peak=255.0,
        ssim="wang",
        metrics=("psnr", "ssim"),
    )


def _saved_rgb(name: ProtocolName, ssim: Ssim = "volume") -> Protocol:
    return Protocol(
        name=name,
        round_to_8bit=True,
        color="rgb",
        crop=(0, 0, 0, 0),
        peak=255.0,
        ssim=ssim,
        metrics=("psnr", "ssim"),
    )


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "sidd": Protocol(
        name="sidd",
        round_to_8bit=False,
        color="rgb",
        crop=(0, 0, 0, 0),
        peak=1.0,
        ssim="volume",
        metrics=("psnr", "ssim"),
    ),
    "realsr-x2": _realsr("realsr-x2", 2),
    "realsr-x3": _realsr("realsr-x3", 3),
    "realsr-x4": _realsr("realsr-x4", 4),
    "lol": _saved_rgb("lol"),
    "fivek": _saved_rgb("fivek"),
    # The paper's table has LPIPS beside these three: `with_lpips` adds it for who has its weights.
    "dpdd": Protocol(
        name="dpdd",
        round_to_8bit=False,
        color="rgb",
        crop=(0, 0, 0, 0),
        peak=1.0,
        ssim="uniform",
        metrics=("psnr", "ssim", "mae"),
    ),
    # Pairs of one's own, for which no benchmark sets the rules: what a viewer of the file sees, and
    # SSIM as people compute it, per channel with a Gaussian window (scikit-image's option).
    "photo": _saved_rgb("photo", ssim="wang"),
}

_SSIM_FORMS: dict[Ssim, Callable[..., Tensor]] = {
    "volume": ssim_volume,
    "wang": ssim_wang,
    "uniform": ssim_uniform,
}


def with_lpips(protocol: Protocol) -> Protocol:
    """The protocol with LPIPS too. Raises ValueError for one that does not look at RGB."""
    if protocol.color != "rgb":
        raise ValueError(f"LPIPS looks at RGB, and protocol {protocol.name} at the luma")
    return replace(protocol, metrics=(*protocol.metrics, "lpips"))


def score(
    output: Tensor, target: Tensor, protocol: Protocol, *, lpips: Lpips | None = None
) -> dict[str, Tensor]:
    """Every metric of the protocol, for each image. A data set's score is their mean.

    Args:
        output: the restored images, ``(N, C, H, W)``, floating point; what lies outside [0, 1] is
            clipped. Protocols of color "y" need RGB, C = 3.
        target: what they should be, same shape, treated alike.
        protocol: usually one of `PROTOCOLS`.
        lpips: with its weights, for a protocol that names it.

    Returns:
        ``{"psnr": (N,), "ssim": (N,)}`` and what else the protocol names, in float64. PSNR is in
        dB and infinite for identical images; MAE is a part of the peak.

    Raises:
        ValueError: the shapes differ or don't suit the protocol, or the dtype is not floating.
        NonFiniteError: a value is NaN or infinite.
    """
    for name, images in (("output", output), ("target", target)):
        if not images.is_floating_point():
            raise ValueError(f"{name}: must be floating point in [0, 1], got {images.dtype}")
    # Checked before clipping, which would turn infinity into plain white.
    output, target = checked_pair(output, target)
    output, target = _scored_pixels(output, protocol), _scored_pixels(target, protocol)
    measures: dict[Metric, Callable[..., Tensor]] = {
        "psnr": psnr,
        "ssim": _SSIM_FORMS[protocol.ssim],
        "mae": mae,
        **({"lpips": lpips} if lpips else {}),
    }
    if "lpips" in protocol.metrics and lpips is None:
        raise ValueError(f"protocol {protocol.name} measures LPIPS: give it with its weights")
    return {
        metric: measures[metric](output, target, data_range=protocol.peak)
        for metric in protocol.metrics
    }


def _scored_pixels(images: Tensor, protocol: Protocol) -> Tensor:
    """The pixels that the metrics see, in 0…peak."""
    pixels = _cropped(images, protocol).clamp(0, 1)
    if not protocol.round_to_8bit:
        return pixels
    levels = torch.from_numpy(quantize(pixels.cpu().numpy(), np.uint8)).to(pixels)
    return levels if protocol.color == "rgb" else rgb_to_y(levels / 255)


def _cropped(images: Tensor, protocol: Protocol) -> Tensor:
    top, bottom, left, right = protocol.crop
    height, width = images.shape[-2:]
    if height <= top + bottom or width <= left + right:
        raise ValueError(
            f"protocol {protocol.name} cuts {top + bottom} rows and {left + right} columns off, "
            f"nothing is left of images of {height}×{width} pixels"
        )
    return images[..., top : height - bottom, left : width - right]
