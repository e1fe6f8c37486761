"""Classical enhancement of dark pictures: equalised histograms, and LIME's Retinex."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from mirnet.evaluation.baselines.spec import Baseline, Picture, of_picture

SMOOTHNESS = 0.15
"""LIME's α: how much the light is smoothed."""
GAMMA = 0.8
"""LIME's exponent of the light."""
SIGMA = 2.0
"""Of the Gaussian in LIME's weights, in pixels."""
EPSILON = 1e-3


def equalised(picture: Picture) -> Any:
    """The histogram of the brightness (HSV's value) made even, over the whole picture."""
    from skimage.color import hsv2rgb, rgb2hsv  # noqa: PLC0415  (an extra)
    from skimage.exposure import equalize_hist  # noqa: PLC0415

    hsv = rgb2hsv(picture)
    hsv[..., 2] = equalize_hist(hsv[..., 2])
    return hsv2rgb(hsv)


def locally_equalised(picture: Picture) -> Any:
    """The same in tiles, with limited contrast (CLAHE), as scikit-image does by default."""
    from skimage.exposure import equalize_adapthist  # noqa: PLC0415  (an extra)

    return equalize_adapthist(picture)


def lime(picture: Picture) -> Picture:
    """LIME's fast solver, with its third strategy for the weights; without its denoising.

    The light is the largest channel, smoothed along what varies without being an edge:
    (1 + α Σ Dᵀ W D) t = t̂. The picture is divided by t^γ.
    """
    light = picture.max(axis=2)
    smooth = np.clip(_smoothed(light), EPSILON, 1) ** GAMMA
    return np.clip(picture / smooth[..., None], 0, 1)


def _smoothed(light: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.sparse import diags  # noqa: PLC0415  (an extra)
    from scipy.sparse.linalg import spsolve  # noqa: PLC0415

    height, width = light.shape
    down, right = _weights(light, axis=0), _weights(light, axis=1)
    down[-1, :] = 0  # the last row has no neighbour below
    right[:, -1] = 0
    across, along = SMOOTHNESS * down.ravel(), SMOOTHNESS * right.ravel()
    before_across = np.concatenate([np.zeros(width), across[:-width]])
    before_along = np.concatenate([[0.0], along[:-1]])
    centre = 1 + across + along + before_across + before_along
    system = diags(
        [centre, -along[:-1], -along[:-1], -across[:-width], -across[:-width]],
        [0, 1, -1, width, -width],
        format="csc",
    )
    solved: NDArray[np.float64] = spsolve(system, light.ravel()).reshape(height, width)
    return solved


def _weights(light: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """1 / (|G ∗ ∇t̂| |∇t̂|): small where a step is an edge, large where it is texture."""
    step = np.diff(light, axis=axis, append=np.take(light, [-1], axis=axis))
    return 1 / ((np.abs(_gaussian(step)) + EPSILON) * (np.abs(step) + EPSILON))


def _gaussian(values: NDArray[np.float64]) -> NDArray[np.float64]:
    radius = int(2 * SIGMA)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel /= kernel.sum()
    planes = torch.from_numpy(values)[None, None]
    planes = F.pad(planes, (radius,) * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    smooth: NDArray[np.float64] = planes[0, 0].numpy()
    return smooth


HISTOGRAM_EQUALISATION = Baseline(
    name="histogram-equalisation",
    source="of HSV's value, over the whole picture",
    restore=of_picture(equalised),
    packages=("scikit-image",),
)
CLAHE = Baseline(
    name="clahe",
    source="Zuiderveld, 1994; scikit-image's defaults",
    restore=of_picture(locally_equalised),
    packages=("scikit-image",),
)
LIME = Baseline(
    name="lime",
    source="Guo et al., TIP 2017; the fast solver, without denoising",
    restore=of_picture(lime),
    packages=("scipy",),
)
