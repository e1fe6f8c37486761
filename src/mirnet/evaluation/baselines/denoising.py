"""Classical denoising: BM3D and non-local means."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from mirnet.data.pair import Pair
from mirnet.evaluation.baselines.spec import Baseline, Picture, as_picture, as_tensor, of_picture
from mirnet.evaluation.evaluate import load_pair

LEAST_SIGMA = 0.1 / 255
SIGMAS = np.geomspace(1 / 255, 64 / 255, 9)
"""Where the best noise level is looked for first."""
REFINEMENTS = 3


def estimated_sigma(picture: Picture) -> float:
    """The noise level that one would take: scikit-image's estimate, one for the picture.

    Channels that are the same everywhere, as blue is in a dark and warm photo, have no noise to be
    seen, and don't count.
    """
    from skimage.restoration import estimate_sigma  # noqa: PLC0415  (an extra)

    channels = [channel for channel in np.moveaxis(picture, -1, 0) if np.ptp(channel) > 0]
    levels = [float(estimate_sigma(channel)) for channel in channels]
    known = [level for level in levels if np.isfinite(level)]
    return max(float(np.mean(known)), LEAST_SIGMA) if known else LEAST_SIGMA


def bm3d(picture: Picture, sigma: float) -> Picture:
    """BM3D for colour at a noise level in [0, 1]."""
    from bm3d import bm3d_rgb  # noqa: PLC0415  (an extra)

    cleaned: Picture = np.clip(bm3d_rgb(picture, max(sigma, LEAST_SIGMA)), 0, 1)
    return cleaned


def non_local_means(picture: Picture) -> Any:
    """Non-local means with patches of 5×5 in 13×13, at the estimated noise level."""
    from skimage.restoration import denoise_nl_means  # noqa: PLC0415  (an extra)

    sigma = estimated_sigma(picture)
    return denoise_nl_means(
        picture, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, channel_axis=-1
    )


def at_best_sigma(pair: Pair, views: Tensor) -> Tensor:
    """BM3D at the noise level that comes closest to the target, which nobody has in practice."""
    return as_tensor(_best(as_picture(views), as_picture(load_pair(pair)[1])))


def _best(picture: Picture, target: Picture) -> Picture:
    """The estimated level and a grid of others, then steps of half the size about the best."""
    errors: dict[float, float] = {}
    closest = picture

    def error(sigma: float) -> float:
        nonlocal closest
        if sigma not in errors:
            cleaned = bm3d(picture, sigma)
            errors[sigma] = float(((cleaned - target) ** 2).mean())
            if errors[sigma] == min(errors.values()):
                closest = cleaned
        return errors[sigma]

    best = min((estimated_sigma(picture), *map(float, SIGMAS)), key=error)
    factor = float(SIGMAS[1] / SIGMAS[0])
    for _ in range(REFINEMENTS):
        factor **= 0.5
        best = min((best / factor, best, best * factor), key=error)
    return closest


BM3D = Baseline(
    name="bm3d",
    source="Dabov et al., TIP 2007, at scikit-image's estimate of the noise",
    restore=of_picture(lambda picture: bm3d(picture, estimated_sigma(picture))),
    packages=("bm3d", "scikit-image"),
)
BM3D_BEST = Baseline(
    name="bm3d-best",
    source="Dabov et al., TIP 2007, at the noise level chosen with the target",
    restore=at_best_sigma,
    packages=("bm3d", "scikit-image"),
    needs_target=True,
)
NON_LOCAL_MEANS = Baseline(
    name="non-local-means",
    source="Buades et al., CVPR 2005, at scikit-image's estimate of the noise",
    restore=of_picture(non_local_means),
    packages=("scikit-image",),
)
