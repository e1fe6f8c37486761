"""The residual contextual block (Sec. 3.1.2, Fig. 3) and the two it is compared to (Table 8)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mirnet.models.config import Block
from mirnet.models.skff import NEGATIVE_SLOPE


@dataclass(slots=True)
class Attention:
    """A softmax-weighted sum over positions, as far as it was added up.

    It can be made of parts: a sum over a picture is the merged sums over the tiles it is cut into.

    Attributes:
        peak: the largest score so far, ``(N, 1, 1)``; the weights are relative to it.
        weight: the sum of the weights, ``(N, 1, 1)``.
        total: the weighted sum of the features, ``(N, C, 1)``.
    """

    peak: Tensor
    weight: Tensor
    total: Tensor

    def merged(self, other: Attention) -> Attention:
        """The sum over the positions of both."""
        peak = torch.maximum(self.peak, other.peak)
        mine, theirs = torch.exp(self.peak - peak), torch.exp(other.peak - peak)
        return Attention(
            peak,
            self.weight * mine + other.weight * theirs,
            self.total * mine + other.total * theirs,
        )

    def vector(self) -> Tensor:
        """The weighted mean, ``(N, C, 1, 1)``."""
        return (self.total / self.weight).unsqueeze(3)


class ContextModule(nn.Module):
    """Adds to every position what the whole picture says: ``(N, C, H, W)`` → the same shape.

    A 1×1 convolution and a softmax over all H·W positions weigh the features into one C-vector;
    with ``transform`` two 1×1 convolutions change it before it is added.
    """

    def __init__(self, channels: int, *, transform: bool = True) -> None:
        """Make the attention mask's convolution and, if wanted, the feature transform."""
        super().__init__()
        self.mask = nn.Conv2d(channels, 1, 1, bias=False)
        self.transform = (
            nn.Sequential(
                nn.Conv2d(channels, channels, 1, bias=False),
                nn.LeakyReLU(NEGATIVE_SLOPE),
                nn.Conv2d(channels, channels, 1, bias=False),
            )
            if transform
            else nn.Identity()
        )

    def forward(self, features: Tensor) -> Tensor:
        """Add the transformed global context."""
        return features + self.shift(self.attend(features))

    def attend(self, features: Tensor) -> Attention:
        """The softmax-weighted sum over the positions of these features.

        The softmax and the sum stay in float32: at 12 megapixels a weight is about 1e-7, which
        half precision can't add up. Each row has a sum of its own, and these are added then: one
        sum over millions of numbers loses two digits.
        """
        scores = self.mask(features)
        with _full_precision(features.device):
            peak = scores.detach().amax((2, 3), keepdim=True).float()
            weights = torch.exp(scores.float() - peak)
            rows = torch.matmul(weights.transpose(1, 2), features.float().permute(0, 2, 3, 1))
            total = rows.sum(1).transpose(1, 2)
            return Attention(peak.flatten(2), weights.sum(3).sum(2, keepdim=True), total)

    def shift(self, attention: Attention) -> Tensor:
        """What is added to every position, ``(N, C, 1, 1)``."""
        shift: Tensor = self.transform(attention.vector().to(self.mask.weight.dtype))
        return shift


class ResidualBlock(nn.Module):
    """EDSR's residual block, the baseline of Table 8: two 3×3 convolutions and the input.

    ``(N, C, H, W)`` → the same shape. Its parts stand by themselves, so that a picture can be
    brought through in pieces: what is local, what the whole picture says, and what each position
    makes of both.
    """

    context: ContextModule | None

    def __init__(self, channels: int, groups: int = 2, *, skip: bool = True) -> None:
        """Make the convolutions with ``groups`` groups; ``skip`` adds the input at the end."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.context = None
        self.activation = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)
        self.skip = skip

    def forward(self, features: Tensor) -> Tensor:
        """Refine the features of one stream."""
        refined = self.local(features)
        shift = self.context.shift(self.context.attend(refined)) if self.context else None
        response = self.respond(refined, shift)
        return response + features if self.skip else response

    def local(self, features: Tensor) -> Tensor:
        """What hangs on the two positions around each: the convolutions."""
        refined: Tensor = self.conv2(self.activation(self.conv1(features)))
        return refined

    def respond(self, refined: Tensor, shift: Tensor | None) -> Tensor:
        """What each position makes of its refined features and of the whole picture's shift."""
        return refined if shift is None else self.activation(refined + shift)


class ResidualContextBlock(ResidualBlock):
    """RCB, Eq. (2): two grouped 3×3 convolutions, the context module, and the block's input."""

    def __init__(
        self, channels: int, groups: int = 2, *, transform: bool = True, skip: bool = True
    ) -> None:
        """Make the convolutions with ``groups`` groups; ``skip`` adds the input at the end."""
        super().__init__(channels, groups, skip=skip)
        self.context = ContextModule(channels, transform=transform)


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context in which nothing is lowered to half precision."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def make_block(kind: Block, channels: int, groups: int, *, skip: bool) -> ResidualBlock:
    """The residual block that the config asks for."""
    if kind == "resblock":
        return ResidualBlock(channels, groups, skip=skip)
    return ResidualContextBlock(channels, groups, transform=kind == "rcb", skip=skip)
