"""What is done around the network: enlarging before it, blending with the input after it."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TypedDict

import torch
import torch.nn.functional as F
from torch import Tensor

from mirnet.imaging.resize import enlarged

LUMA = (0.299, 0.587, 0.114)
"""Of R, G and B (ITU-R BT.601), on the stored values."""
BANDS = 4
"""Scales of detail: 2, 4, 8 and 16 pixels."""
SPLINE = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
NOISE = 3.0
"""What is weaker than so many deviations of its band's noise counts as noise."""
ENLARGEMENTS = range(1, 5)
NORMAL = 0.6745
"""The median of a normal distribution's absolute values, in deviations."""


class Options(TypedDict, total=False):
    """The keywords that ``Restorer`` takes; what is left out is as in ``Treatment``."""

    strength: float
    chroma_only: bool
    detail: float
    enlarge: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """How an image comes to the network, and how the result is made of input and output.

    Attributes:
        strength: 0 is the input, 1 the output; between, a mixture. From 0 to 1.
        chroma_only: keep the input's luma, where that can be had in these colours: noise of colour
            goes, grain and detail stay.
        detail: how much of the fine structure that went with the noise comes back, from 0 to 1.
        enlarge: by how much the image is enlarged first, by cubic interpolation, as the inputs that
            networks for super-resolution are trained on; 1 to 4. Alpha goes with it.

    Raises ValueError for a value out of its range.
    """

    strength: float = 1.0
    chroma_only: bool = False
    detail: float = 0.0
    enlarge: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.chroma_only not in (True, False):
            raise ValueError(f"chroma_only is True or False, got {self.chroma_only!r}")
        for name in ("strength", "detail"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not 0 <= float(value) <= 1:
                raise ValueError(f"{name} is a number from 0 to 1, got {value!r}")
        if type(self.enlarge) is not int or self.enlarge not in ENLARGEMENTS:
            raise ValueError(
                f"enlarge is a whole number from 1 to {ENLARGEMENTS[-1]}, got {self.enlarge!r}"
            )
        if self.chroma_only and self.detail:
            raise ValueError("detail comes back with the luma, which chroma_only keeps anyway")

    @property
    def bytes_per_pixel(self) -> int:
        """The memory that the blend takes at its peak, beside the image and the output."""
        if self.detail:
            return 128  # most of it is oneDNN's, which pads one channel to sixteen
        return 28 if self.chroma_only else 24 * (self.strength < 1)

    @property
    def blends(self) -> bool:
        """Whether the input goes into the result."""
        return self.strength < 1 or self.chroma_only or self.detail > 0

    def before(self, images: Tensor) -> Tensor:
        """What the network gets of ``(N, C, H, W)``; what is enlarged is float32."""
        return enlarged(images.float(), self.enlarge) if self.enlarge > 1 else images

    def after(self, inputs: Tensor, outputs: Tensor) -> Tensor:
        """The result, from what the network got and gave: ``(N, C, H, W)`` in [0, 1], alike."""
        result = outputs
        if self.chroma_only or self.detail:
            taken = luma(inputs) - luma(outputs)
            back = taken if self.chroma_only else self.detail * structure(taken)
            result = (outputs + back).clamp_(0, 1)
        return torch.lerp(inputs, result, self.strength) if self.strength < 1 else result


def luma(images: Tensor) -> Tensor:
    """``(N, 3, H, W)`` → ``(N, 1, H, W)``."""
    weights = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    return torch.einsum("nchw,c->nhw", images, weights)[:, None]


def structure(taken: Tensor) -> Tensor:
    """What was taken away and is no noise: ``(N, 1, H, W)`` → the same.

    Wavelets (à trous, cubic spline) part it into bands. Noise has one deviation in a band, which
    the median tells while structure fills less than half of the picture. What stands out of it is
    structure, and is brought nearer to 0 by the threshold. What is left at coarse scales, a change
    of brightness, stays away.
    """
    found = torch.zeros_like(taken)
    smooth = taken
    for band in range(BANDS):
        smoother = _smoothed(smooth, 2**band)
        detail = smooth - smoother
        # Every second row and column tell the median as well.
        deviation = detail[..., ::2, ::2].abs().flatten(1).median(1).values / NORMAL
        threshold = (NOISE * deviation)[:, None, None, None]
        found += detail.sub_(detail.clamp(-threshold, threshold))
        smooth = smoother
    return found


def _smoothed(plane: Tensor, step: int) -> Tensor:
    """By a cubic spline whose taps lie ``step`` apart; edges are repeated."""
    kernel = torch.tensor(SPLINE, dtype=plane.dtype, device=plane.device)
    reach = 2 * step
    across = F.pad(plane, (reach, reach, 0, 0), mode="replicate")
    across = F.conv2d(across, kernel[None, None, None], dilation=(1, step))
    along = F.pad(across, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(along, kernel[None, None, :, None], dilation=(step, 1))
