"""Weights for a network that takes other pictures than they were trained for."""

from __future__ import annotations

from dataclasses import fields

import torch
from torch import Tensor

from mirnet.checkpoints.store import Checkpoint
from mirnet.errors import CheckpointError
from mirnet.models.network_config import NetworkConfig

FREE = ("in_channels", "residual")
"""Fields that have no weights of their own, but for the first convolution's inputs."""
FIRST = "conv_in.weight"


def adapted(checkpoint: Checkpoint, config: NetworkConfig) -> dict[str, Tensor]:
    """A checkpoint's weights for a network that differs in its input channels or residual.

    The first convolution is shared among the new views so that a picture given as every one of
    them has the same response as one picture had before.

    Raises CheckpointError that names the field in which the networks differ otherwise.
    """
    if checkpoint.config.NETWORK != config.NETWORK:
        raise CheckpointError(
            f"the weights are for {checkpoint.config.NETWORK}, the network is {config.NETWORK}; "
            "leave preset out, or start from other weights"
        )
    for field in fields(config):
        was, now = getattr(checkpoint.config, field.name), getattr(config, field.name)
        if field.name not in FREE and was != now:
            raise CheckpointError(
                f"the weights are for {field.name} {was}, the network has {now}; leave preset and "
                "changes out, or start from other weights"
            )
    weights = dict(checkpoint.weights)
    if checkpoint.config.in_channels != config.in_channels:
        weights[FIRST] = _for_views(weights[FIRST], config.in_channels)
    return weights


def _for_views(weight: Tensor, channels: int) -> Tensor:
    """``(C, 3·n, k, k)`` → ``(C, channels, k, k)``."""
    views, before = channels // 3, weight.shape[1] // 3
    if 3 * views != channels or 3 * before != weight.shape[1]:
        raise CheckpointError(
            f"weights for {weight.shape[1]} channels can't be used for {channels}; views have 3"
        )
    one = torch.stack(torch.chunk(weight, before, dim=1)).sum(dim=0)
    return one.repeat(1, views, 1, 1) / views
