"""The residual contextual block (Sec. 3.1.2, Fig. 3) and the two it is compared to (Table 8)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from mirnet.models.config import Block
from mirnet.models.skff import NEGATIVE_SLOPE


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
        result: Tensor = features + self.transform(self.context(features))
        return result

    def context(self, features: Tensor) -> Tensor:
        """The softmax-weighted sum over all positions, ``(N, C, 1, 1)``.

        The softmax and the sum stay in float32: at 12 megapixels a weight is about 1e-7, which
        half precision can't add up.
        """
        logits = self.mask(features).flatten(2)
        with _full_precision(features.device):
            weights = torch.softmax(logits.float(), dim=2)
            total = torch.bmm(features.flatten(2).float(), weights.transpose(1, 2))
        return total.unsqueeze(3).to(features.dtype)


class ResidualContextBlock(nn.Module):
    """RCB, Eq. (2): two grouped 3×3 convolutions, the context module, and the block's input.

    ``(N, C, H, W)`` → the same shape.
    """

    def __init__(
        self, channels: int, groups: int = 2, *, transform: bool = True, skip: bool = True
    ) -> None:
        """Make the convolutions with ``groups`` groups; ``skip`` adds the input at the end."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.context = ContextModule(channels, transform=transform)
        self.activation = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)
        self.skip = skip

    def forward(self, features: Tensor) -> Tensor:
        """Refine the features of one stream."""
        refined = self.conv2(self.activation(self.conv1(features)))
        refined = self.activation(self.context(refined))
        result: Tensor = refined + features if self.skip else refined
        return result


class ResidualBlock(nn.Module):
    """EDSR's residual block, the baseline of Table 8: two 3×3 convolutions and the input.

    ``(N, C, H, W)`` → the same shape.
    """

    def __init__(self, channels: int, groups: int = 2, *, skip: bool = True) -> None:
        """Make the convolutions with ``groups`` groups; ``skip`` adds the input at the end."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.activation = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)
        self.skip = skip

    def forward(self, features: Tensor) -> Tensor:
        """Refine the features of one stream."""
        refined = self.conv2(self.activation(self.conv1(features)))
        result: Tensor = refined + features if self.skip else refined
        return result


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """A context in which nothing is lowered to half precision."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def make_block(kind: Block, channels: int, groups: int, *, skip: bool) -> nn.Module:
    """The residual block that the config asks for."""
    if kind == "resblock":
        return ResidualBlock(channels, groups, skip=skip)
    return ResidualContextBlock(channels, groups, transform=kind == "rcb", skip=skip)
