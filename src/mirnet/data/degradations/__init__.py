"""Synthetic degradations: a clean ``(H, W, 3)`` float32 sRGB picture in, degraded views out.

A degradation is a pure function of the picture and the state of a random generator. The
clean picture is the target, so a degradation changes nothing but what is to be restored.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.camera import camera_noise
from mirnet.data.degradations.defocus import dual_pixel_defocus
from mirnet.data.degradations.downscale import downscale
from mirnet.data.degradations.draws import require_span
from mirnet.data.degradations.files import as_stored
from mirnet.data.degradations.low_light import low_light
from mirnet.data.degradations.simple import gaussian_noise, random_exposure
from mirnet.data.degradations.stored import camera_jpeg
from mirnet.errors import DataError

Views = tuple[NDArray[Any], ...]
Degradation = Callable[[NDArray[Any], np.random.Generator], Views]
"""``(clean picture, random generator) → degraded views``; nothing else is read."""
Options = Mapping[str, float | tuple[float, ...]]

DEGRADATIONS: dict[str, Callable[..., NDArray[Any] | Views]] = {
    "camera-noise": camera_noise,
    "camera-jpeg": camera_jpeg,
    "gaussian-noise": gaussian_noise,
    "downscale": downscale,
    "low-light": low_light,
    "dual-pixel-defocus": dual_pixel_defocus,
}
VIEWS = {"dual-pixel-defocus": 2}
"""How many views a degradation gives, where it isn't one."""
STORED = {"jpeg": 0.5, "quality": (70.0, 98.0)}
"""Options that any degradation takes: the probability that its result is stored as a JPEG, and the
quality of that, where only the other one is given."""

__all__ = [
    "DEGRADATIONS",
    "VIEWS",
    "Degradation",
    "bound",
    "camera_jpeg",
    "camera_noise",
    "downscale",
    "dual_pixel_defocus",
    "gaussian_noise",
    "low_light",
    "random_exposure",
]


def bound(name: str, options: Options) -> Degradation:
    """A degradation with its options, which are tried on a tiny picture.

    Args:
        name: a key of `DEGRADATIONS`.
        options: by the names of its keyword parameters, or of `STORED`: a number, or the lowest and
            highest value of what is drawn.

    Raises DataError that names an option that it does not have, or that is out of range.
    """
    degrade = DEGRADATIONS[name]
    own = inspect.signature(degrade).parameters
    known = [key for key in own if own[key].kind is inspect.Parameter.KEYWORD_ONLY]
    after = {key: value for key, value in options.items() if key in STORED and key not in known}
    given = {key: value for key, value in options.items() if key not in after}
    for key in given:
        if key not in known:
            listed = ", ".join(dict.fromkeys([*known, *STORED]))
            raise DataError(f"{key}: {name} has no such option; it has {listed}")
    for key, value in options.items():
        is_span = isinstance(own[key].default if key in own else STORED[key], tuple)
        if is_span != isinstance(value, tuple) or (isinstance(value, tuple) and len(value) != 2):
            wanted = "the lowest and the highest value" if is_span else "one number"
            raise DataError(f"{key}: {name} wants {wanted}, got {value!r}")
    made = partial(_views, partial(degrade, **given), {**STORED, **after} if after else None)
    made(np.full((32, 32, 3), 0.5, np.float32), np.random.default_rng(0))
    return made


def _views(
    degrade: Callable[..., Any],
    storing: dict[str, Any] | None,
    clean: NDArray[Any],
    rng: np.random.Generator,
) -> Views:
    result = degrade(clean, rng)
    views: Views = result if isinstance(result, tuple) else (result,)
    if storing is None:
        return views
    require_span("jpeg", (storing["jpeg"],) * 2, least=0, most=1)
    require_span("quality", storing["quality"], least=1, most=100)
    return tuple(as_stored(view, rng, **storing) for view in views)
