"""Classical methods for pictures that lack detail: the mean of two views, and unsharp masking."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mirnet.data.pair import Pair
from mirnet.errors import DataError
from mirnet.evaluation.baselines.spec import Baseline, Picture, of_picture

RADIUS, AMOUNT = 1.0, 1.0
"""Of the unsharp mask: deviation in pixels, and how much of what it takes away is added."""


def mean_of_views(pair: Pair, views: Tensor) -> Tensor:
    """What a camera makes of the views of a dual-pixel sensor. DataError for a single one."""
    if views.shape[1] == 3:
        raise DataError(f"{pair.place}: its pair has one view; mean-of-views is of inputL, inputR")
    height, width = views.shape[2:]
    return views.reshape(len(views), -1, 3, height, width).mean(dim=1)


def unsharp_masked(picture: Picture) -> Picture:
    """The picture, and once more what a Gaussian takes away from it.

    (scikit-image 0.26 leaves most of a colour picture black here.)
    """
    from scipy.ndimage import gaussian_filter  # noqa: PLC0415  (an extra)

    soft = gaussian_filter(picture, sigma=(RADIUS, RADIUS, 0))
    sharp: Picture = np.clip(picture + AMOUNT * (picture - soft), 0, 1)
    return sharp


MEAN_OF_VIEWS = Baseline(
    name="mean-of-views",
    source="what a camera makes of a dual-pixel sensor's views",
    restore=mean_of_views,
    packages=("torch",),
)
UNSHARP_MASK = Baseline(
    name="unsharp-mask",
    source="radius 1, amount 1",
    restore=of_picture(unsharp_masked),
    packages=("scipy",),
)
