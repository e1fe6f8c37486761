"""Selective kernel feature fusion (Sec. 3.1.1, Fig. 2) and the two it is compared to (Table 9)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mirnet.models.config import Fusion

NEGATIVE_SLOPE = 0.2


class SelectiveKernelFusion(nn.Module):
    """Joins n streams with weights that each channel takes from the whole picture.

    Takes n tensors ``(N, C, H, W)`` and returns one. Fuse: the pooled sum of the streams is
    squeezed to ``max(C/8, 4)`` numbers. Select: one 1×1 convolution a stream gives a score for
    each channel, and the softmax over the streams weighs their sum.
    """

    def __init__(
        self, channels: int, streams: int = 2, *, activation: nn.Module | None = None
    ) -> None:
        """Make the squeezing convolution and one selecting convolution a stream.

        Between them is the leaky ReLU of MIRNet-v2, unless ``activation`` is another.
        """
        super().__init__()
        squeezed = max(channels // 8, 4)
        self.squeeze = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.activation = activation or nn.LeakyReLU(NEGATIVE_SLOPE)
        self.select = nn.ModuleList(
            nn.Conv2d(squeezed, channels, 1, bias=False) for _ in range(streams)
        )

    def forward(self, streams: Sequence[Tensor], weights: Tensor | None = None) -> Tensor:
        """Weigh and add the streams, by weights from the streams themselves unless told."""
        if weights is None:
            weights = self.weights([pool(stream) for stream in streams])
        return self.blend(streams, weights)

    def blend(self, streams: Sequence[Tensor], weights: Tensor) -> Tensor:
        """The weighted sum; of the streams' means, it is the mean of the result."""
        fused = weights[0] * streams[0]
        for weight, stream in zip(weights[1:], streams[1:], strict=True):
            fused = fused.addcmul_(weight, stream)
        return fused

    def weights(self, pooled: Sequence[Tensor]) -> Tensor:
        """One weight for each stream and channel, ``(streams, N, C, 1, 1)``, adding up to 1.

        Args:
            pooled: the mean of each stream over its positions, ``(N, C, 1, 1)``. The mean of a
                sum is the sum of the means, so the sum of the streams is never made.
        """
        total = torch.stack(list(pooled)).sum(0)
        squeezed = self.activation(self.squeeze(total))
        scores = torch.stack([conv(squeezed) for conv in self.select])
        return torch.softmax(scores.float(), dim=0).to(pooled[0].dtype)


class SumFusion(nn.Module):
    """Joins streams by adding them up (Table 9's "Sum"); it has no parameters."""

    def forward(self, streams: Sequence[Tensor], weights: None = None) -> Tensor:
        """Add the streams, all ``(N, C, H, W)``."""
        return torch.stack(list(streams)).sum(0)


class ConcatFusion(nn.Module):
    """Joins streams by concatenation and a 1×1 convolution (Table 9's "Concat")."""

    def __init__(self, channels: int, streams: int = 2) -> None:
        """Make the convolution from ``streams · channels`` to ``channels``."""
        super().__init__()
        self.conv = nn.Conv2d(streams * channels, channels, 1, bias=False)

    def forward(self, streams: Sequence[Tensor], weights: None = None) -> Tensor:
        """Concatenate and mix the streams, all ``(N, C, H, W)``."""
        result: Tensor = self.conv(torch.cat(list(streams), dim=1))
        return result


def pool(features: Tensor) -> Tensor:
    """The mean over all positions, ``(N, C, H, W)`` → ``(N, C, 1, 1)``, summed in float32.

    Row by row, as in ``ContextModule.attend``: other runtimes, which networks are exported to, lose
    digits in one long sum.
    """
    rows = features.mean(dim=3, keepdim=True, dtype=torch.float32)
    return rows.mean(dim=2, keepdim=True).to(features.dtype)


def make_fusion(kind: Fusion, channels: int) -> nn.Module:
    """The fusion of two streams that the config asks for."""
    if kind == "skff":
        return SelectiveKernelFusion(channels)
    return ConcatFusion(channels) if kind == "concat" else SumFusion()
