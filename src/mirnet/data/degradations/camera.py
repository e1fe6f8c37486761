"""Noise of a randomly drawn camera.

Light reaches a sensor with one colour per pixel; shot noise grows with it, read noise does
not. Demosaicing, white balance and the colour matrix spread the noise over neighbours and
channels, and the tone curve weighs it by brightness. All steps up to the tone curve are
linear, so only the noise takes them: the clean picture comes out as it went in.

Planes are ``(3, H, W)`` and pictures ``(H, W, 3)``; both float32 RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mirnet.data.degradations.demosaic import demosaiced
from mirnet.data.degradations.draws import (
    LUMA,
    Array,
    Span,
    log_uniform,
    require_picture,
    require_span,
)
from mirnet.data.degradations.textures import (
    blurred,
    colour_blotches,
    denoised,
    row_and_column_noise,
)

_MARGIN = 10  # pixels computed around the picture; all filters together reach no further


def camera_noise(
    clean: NDArray[Any],
    rng: np.random.Generator,
    *,
    shot_noise: Span = (1.2e-4, 2e-2),
    read_noise: Span = (0.7, 5.0),
    exposure: Span = (0.35, 1.0),
    tone_exponent: Span = (1.0, 2.6),
    white: float = 0.25,
    banding: float = 0.15,
    blotches: float = 0.25,
    denoise: float = 0.4,
    sharpen: float = 0.25,
    quantize: float = 0.8,
    demosaic_clean: bool = False,
) -> Array:
    """``clean`` as a randomly drawn camera would have taken it with too little light.

    Except for noise the camera is neutral: its clipping at black and white and its curved
    tone scale shift the mean of strong noise, as real ones do.

    Args:
        clean: ``(H, W, 3)``, float32 sRGB in [0, 1], of any size.
        rng: the only source of randomness; its state and ``clean`` fix the result.
        shot_noise: variance per unit of signal (1 = sensor saturation), drawn log-uniformly;
            the reciprocal of the electrons at saturation. In (0, 1).
        read_noise: standard deviation in electrons, drawn log-uniformly. Positive.
        exposure: part of the sensor's range that is used, drawn log-uniformly; the rest is
            digital gain. In (0, 1].
        tone_exponent: the tone curve is about ``x ** (1 / exponent)``; drawn uniformly (sRGB is
            2.2; contrasty photos have less). At least 1.
        white: probability that noise is independent from pixel to pixel, as in a photo
            that was subsampled, rather than demosaiced.
        banding: probability of row and column noise.
        blotches: probability of colour noise of low frequency.
        denoise: probability that the noise is smoothed, its colour more than its luma.
        sharpen: probability that the noise is sharpened.
        quantize: probability that the result is rounded to 8 bits.
        demosaic_clean: leave demosaicing artefacts of the clean picture in the result too.
            They have no place in a target for denoising.

    Returns:
        ``(H, W, 3)``, float32 sRGB in [0, 1].

    Raises:
        DataError: ``clean`` is no float32 ``(H, W, 3)`` picture, or a range is empty.
    """
    require_picture(clean)
    for name, chance in (
        ("white", white), ("banding", banding), ("blotches", blotches),
        ("denoise", denoise), ("sharpen", sharpen), ("quantize", quantize),
    ):  # fmt: skip
        require_span(name, (chance, chance), least=0, most=1)
    height, width = clean.shape[:2]
    camera = _Camera.draw(rng, shot_noise, read_noise, exposure, tone_exponent)
    margins = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))
    planes = np.ascontiguousarray(np.pad(clean, margins, "symmetric").transpose(2, 0, 1))
    light = camera.to_light(planes)

    sensor = np.maximum(_mix(np.linalg.inv(camera.matrix), light), 0)
    if not demosaic_clean and rng.random() < white:
        noise = camera.noise(sensor, camera.gains, rng)
    else:
        noise = _mosaic_noise(sensor, camera, rng, keep_artefacts=demosaic_clean)
    if rng.random() < banding:
        noise += row_and_column_noise(noise.shape, rng) * camera.read_deviation
    if rng.random() < blotches:
        strength = rng.uniform(0.05, 0.3) * noise.std(axis=(1, 2), keepdims=True)
        noise += colour_blotches(noise.shape, rng) * strength
    noise = _mix(camera.matrix, noise)
    luma = np.tensordot(LUMA, noise, axes=1)  # most cameras take some colour noise away
    noise = luma + np.float32(rng.uniform(0.5, 1)) * (noise - luma)
    if rng.random() < denoise:
        noise = denoised(noise, rng)
    if rng.random() < sharpen:
        detail = noise - blurred(noise, rng.uniform(0.6, 1.2))
        noise += np.float32(rng.uniform(0.2, 1.0)) * detail

    inner = np.s_[:, _MARGIN : _MARGIN + height, _MARGIN : _MARGIN + width]
    noisy = camera.to_display(np.clip(light[inner] + noise[inner], 0, 1))
    if rng.random() < quantize:
        noisy = np.rint(noisy * np.float32(255)) / np.float32(255)
    return np.ascontiguousarray(np.clip(noisy, 0, 1).transpose(1, 2, 0))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Camera:
    """One camera at one gain. Its sensor planes are white-balanced."""

    shot_noise: float
    """Variance per unit of sensor signal."""
    read_variance: float
    exposure: float
    gains: Array
    """White balance, ``(3, 1, 1)``, green is 1."""
    matrix: Array
    """Sensor colours to linear sRGB, ``(3, 3)``; each row sums to 1, so grey stays grey."""
    exponent: float
    toe: float
    """Offset that keeps the tone curve's slope finite at black."""

    @classmethod
    def draw(
        cls, rng: np.random.Generator, shot: Span, read: Span, exposure: Span, exponent: Span
    ) -> Self:
        require_span("shot_noise", shot, least=0, most=1, exclusive=True)
        require_span("read_noise", read, least=0, exclusive=True)
        require_span("exposure", exposure, least=0, most=1, exclusive=True)
        require_span("tone_exponent", exponent, least=1)
        shot_noise = log_uniform(rng, shot)
        converter = 1 / 4096  # a 10-bit converter's rounding and its electronics
        gains = [rng.uniform(1.1, 2.6), 1.0, rng.uniform(1.1, 2.4)]
        return cls(
            shot_noise=shot_noise,
            read_variance=(shot_noise * log_uniform(rng, read)) ** 2 + converter**2,
            exposure=log_uniform(rng, exposure),
            gains=np.array(gains, np.float32).reshape(3, 1, 1),
            matrix=_draw_matrix(rng),
            exponent=float(rng.uniform(*exponent)),
            toe=log_uniform(rng, (1e-3, 1e-2)),
        )

    @property
    def read_deviation(self) -> Array:
        """Of the sensor planes, ``(3, 1, 1)``."""
        return self.gains * np.float32(np.sqrt(self.read_variance) / self.exposure)

    def noise(self, sensor: Array, gains: Array, rng: np.random.Generator) -> Array:
        """Shot and read noise, white, for clean ``sensor`` values of any shape.

        The shot noise is Gaussian with the variance of the Poisson distribution.
        """
        amplification = gains / np.float32(self.exposure)
        variance = amplification * (np.float32(self.shot_noise) * sensor)
        variance += amplification**2 * np.float32(self.read_variance)
        return rng.standard_normal(sensor.shape, np.float32) * np.sqrt(variance)

    def to_display(self, light: Array) -> Array:
        low, high = self._ends()
        curve = (light + np.float32(self.toe)) ** np.float32(1 / self.exponent)
        return (curve - np.float32(low)) / np.float32(high - low)

    def to_light(self, display: Array) -> Array:
        low, high = self._ends()
        curve = display * np.float32(high - low) + np.float32(low)
        return curve ** np.float32(self.exponent) - np.float32(self.toe)

    def _ends(self) -> Span:
        return self.toe ** (1 / self.exponent), (1 + self.toe) ** (1 / self.exponent)


def _draw_matrix(rng: np.random.Generator) -> Array:
    """Subtracts from each colour what its filter lets through of the others."""
    strength = rng.uniform(0.35, 1.0)
    leaks = np.zeros((3, 3))
    leaks[0, 1:] = rng.uniform(0.3, 0.9), rng.uniform(-0.1, 0.2)
    leaks[1, ::2] = rng.uniform(0.05, 0.25), rng.uniform(0.0, 0.3)
    leaks[2, :2] = rng.uniform(-0.1, 0.15), rng.uniform(0.3, 0.9)
    leaks *= strength
    return (np.diag(1 + leaks.sum(axis=1)) - leaks).astype(np.float32)


def _mosaic_noise(
    sensor: Array, camera: _Camera, rng: np.random.Generator, *, keep_artefacts: bool
) -> Array:
    """Noise of a Bayer sensor after demosaicing, ``(3, H, W)``."""
    row, column = (int(offset) for offset in rng.integers(2, size=2))
    correction = float(rng.uniform())
    mosaic = sensor[1].copy()
    for channel, (top, left) in ((0, (row, column)), (2, (1 - row, 1 - column))):
        mosaic[top::2, left::2] = sensor[channel, top::2, left::2]
    gains = np.ones_like(mosaic)
    gains[row::2, column::2] = camera.gains[0]
    gains[1 - row :: 2, 1 - column :: 2] = camera.gains[2]
    noise = camera.noise(mosaic, gains, rng)
    if keep_artefacts:
        return demosaiced(mosaic + noise, (row, column), correction) - sensor
    return demosaiced(noise, (row, column), correction)


def _mix(matrix: Array, planes: Array) -> Array:
    """``(3, 3)`` times ``(3, H, W)``."""
    return (matrix @ planes.reshape(3, -1)).reshape(planes.shape)
