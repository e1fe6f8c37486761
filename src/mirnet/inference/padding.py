"""Any size in, the network's sizes inside, the same size out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def padded_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """The next multiples of ``multiple``, at least one of each."""
    return -(-height // multiple) * multiple, -(-width // multiple) * multiple


def pad(image: Tensor, multiple: int) -> Tensor:
    """Pad ``(N, C, H, W)`` at the bottom and the right to multiples of ``multiple``.

    By reflection; an axis too short to be reflected is continued by its last row or column.
    """
    return pad_to(image, *padded_size(image.shape[2], image.shape[3], multiple))


def pad_to(image: Tensor, height: int, width: int) -> Tensor:
    """Pad ``(N, C, H, W)`` at the bottom and the right to this size, in the same way."""
    rows, columns = image.shape[2:]
    image = _pad_axis(image, (0, 0, 0, height - rows), rows)
    return _pad_axis(image, (0, width - columns, 0, 0), columns)


def crop(image: Tensor, height: int, width: int) -> Tensor:
    """The top left ``(N, C, height, width)``: what ``pad`` was given."""
    return image[:, :, :height, :width]


def _pad_axis(image: Tensor, amounts: tuple[int, int, int, int], length: int) -> Tensor:
    if not any(amounts):
        return image
    return F.pad(image, amounts, mode="reflect" if max(amounts) < length else "replicate")
