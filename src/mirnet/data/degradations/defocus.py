"""Dual-pixel defocus: the two views of a sensor whose pixels are split, over a depth map.

Each half of a pixel sees the scene through one half of the lens. What is out of focus is blurred
by that half's shape, and shifted to one side in the left view and to the other in the right one;
behind the focus plane the sides are changed. After Abuolaim et al., "Learning to Reduce Defocus
Blur by Realistically Modeling Dual-Pixel Data", ICCV 2021.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.downscale import filtered
from mirnet.data.degradations.draws import Array, Span, log_uniform, require_picture, require_span
from mirnet.data.degradations.light import to_display, to_light
from mirnet.imaging.resize import resized

Views = tuple[Array, Array]

EDGE = 0.5  # pixels over which the edge of the aperture falls off
SHARPEST = 0.4  # a radius below which a picture counts as sharp, in pixels


def dual_pixel_defocus(
    clean: NDArray[Any],
    rng: np.random.Generator,
    *,
    radius: Span = (1.0, 8.0),
    layers: float = 6,
    split: Span = (0.6, 1.0),
    noise: Span = (0.2 / 255, 2 / 255),
) -> Views:
    """The left and the right view of ``clean`` out of focus; both together have no shift.

    Args:
        clean: ``(H, W, 3)``, float32 sRGB in [0, 1], sharp everywhere; of any size.
        rng: the only source of randomness; its state and ``clean`` fix the result.
        radius: of the largest blur in the picture, in pixels, drawn log-uniformly. From 0.1 to 32.
        layers: depths that the scene is made of. From 1 to 16.
        split: how well the halves of a pixel tell the halves of the lens apart, drawn uniformly;
            0 gives two equal views. From 0 to 1.
        noise: standard deviation in sRGB, drawn log-uniformly. Positive.

    Returns:
        Two pictures ``(H, W, 3)``, float32 sRGB in [0, 1].

    Raises:
        DataError: ``clean`` is no float32 ``(H, W, 3)`` picture, or a range is empty.
    """
    require_picture(clean)
    require_span("radius", radius, least=0.1, most=32)
    require_span("layers", (layers, layers), least=1, most=16)
    require_span("split", split, least=0, most=1)
    require_span("noise", noise, least=0, exclusive=True)
    depth = depth_map(clean.shape[0], clean.shape[1], rng)
    signed = blur_radii(depth, log_uniform(rng, radius), rng)
    apart = float(rng.uniform(*split))
    left, right = (_seen(clean, signed, int(layers), side * apart) for side in (-1, 1))
    deviation = np.float32(log_uniform(rng, noise))
    noisy = [
        np.clip(view + rng.standard_normal(view.shape, np.float32) * deviation, 0, 1)
        for view in (left, right)
    ]
    return noisy[0], noisy[1]


def half_aperture(radius: float, side: float) -> Array:
    """What one half of a pixel sees of a point that is out of focus: a kernel ``(K, K)``, sum 1.

    Args:
        radius: of the blur, in pixels; its sign tells whether the point lies behind the focus
            plane (positive) or before it.
        side: -1 for the left view, 1 for the right one; between, a pixel that tells the halves of
            the lens less apart. 0 is the whole aperture.
    """
    size = abs(radius)
    reach = int(np.ceil(size + EDGE))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    disc = np.clip((size + EDGE - np.hypot(x, y)) / (2 * EDGE), 0, 1)
    if disc.sum() == 0:
        disc[reach, reach] = 1
    # Sensitivity falls off smoothly across the aperture; both halves add up to all of it.
    across = x / max(size, EDGE) * np.sign(radius)
    kernel = disc * (1 + side * np.tanh(3 * across))
    normal: Array = (kernel / kernel.sum()).astype(np.float32)
    return normal


def depth_map(height: int, width: int, rng: np.random.Generator) -> Array:
    """Depths in [0, 1], near to far: a sloping ground, soft hills and things that stand in it."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (x / width - 0.5) * np.cos(angle) + (y / height - 0.5) * np.sin(angle)
    hills = resized(rng.standard_normal((4, 4, 1)).astype(np.float32), height, width)[..., 0]
    depth = 0.5 + slope * rng.uniform(0, 0.8) + 0.12 * hills
    for _ in range(int(rng.integers(0, 4))):
        centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
        tall, wide = rng.uniform(0.1, 0.4) * height, rng.uniform(0.1, 0.4) * width
        inside = ((y - centre_y) / tall) ** 2 + ((x - centre_x) / wide) ** 2 < 1
        depth = np.where(inside, np.float32(rng.uniform(0, 1)), depth)
    clipped: Array = np.clip(depth, 0, 1).astype(np.float32)
    return clipped


def blur_radii(depth: Array, largest: float, rng: np.random.Generator) -> Array:
    """The signed radius of each pixel's blur, of a lens focused at a depth that is drawn.

    By the thin lens, a blur grows with the difference of the reciprocal distances. Distances are
    1 to 4 times the nearest one. The largest of the picture is ``largest``, in pixels.
    """
    reciprocal = 1 / (1 + 3 * depth)
    focus = 1 / (1 + 3 * float(rng.uniform(0, 1)))
    blur = focus - reciprocal
    scale = np.abs(blur).max()
    return (blur / scale * largest if scale > 0 else blur).astype(np.float32)


def _seen(clean: Array, signed: Array, layers: int, side: float) -> Array:
    """One view: layers of equal blur, each before those behind it, in linear light."""
    light = to_light(clean)
    edges = np.linspace(signed.min(), signed.max() + 1e-3, layers + 1)
    seen = np.zeros_like(light)
    covered = np.zeros((*light.shape[:2], 1), np.float32)
    for low, high in zip(edges[-2::-1], edges[:0:-1], strict=True):  # far to near
        inside = (signed >= low) & (signed < high)
        if not inside.any():
            continue
        mask = inside.astype(np.float32)[..., None]
        layer = np.concatenate([light * mask, mask], axis=2)
        radius = float(signed[inside].mean())
        if abs(radius) >= SHARPEST:
            layer = filtered(layer, half_aperture(radius, side))
        opacity = layer[..., 3:]
        seen = seen * (1 - opacity) + layer[..., :3]
        covered = covered * (1 - opacity) + opacity
    # What a layer hides of the one behind is not known: the light is that of what is known.
    return to_display(seen / np.maximum(covered, 1e-6))
