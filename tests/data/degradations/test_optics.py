"""Lenses: down-scaling, low light and dual-pixel defocus."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.registration import phase_cross_correlation

from mirnet.data.degradations.defocus import (
    _seen,
    blur_radii,
    depth_map,
    dual_pixel_defocus,
    half_aperture,
)
from mirnet.data.degradations.downscale import downscale, filtered, gaussian
from mirnet.data.degradations.light import to_display, to_light
from mirnet.data.degradations.low_light import low_light
from tests.data.publishers import picture

Picture = NDArray[np.float32]


def smooth(size: tuple[int, int] = (96, 120), seed: int = 1) -> Picture:
    return (picture(seed, size=size) / 255).astype(np.float32)


def shift_of(one: Picture, other: Picture) -> NDArray[np.float64]:
    shift: NDArray[np.float64] = phase_cross_correlation(
        one.mean(axis=2), other.mean(axis=2), upsample_factor=50, normalization=None
    )[0]
    return shift


def textured(size: tuple[int, int], seed: int = 0) -> Picture:
    noise = np.random.default_rng(seed).random((*size, 3)).astype(np.float32)
    return filtered(noise, gaussian(1.2, 1.2, 0)) * 0.9


class TestDownscale:
    @pytest.mark.parametrize("factor", [2.0, 3.0, 4.0])
    @pytest.mark.parametrize("size", [(96, 120), (97, 118)])
    def test_nothing_is_shifted(self, factor: float, size: tuple[int, int]) -> None:
        y, x = np.mgrid[0 : size[0], 0 : size[1]]
        blob = 0.8 * np.exp(-((y - 40.3) ** 2 + (x - 61.7) ** 2) / (2 * 8**2))
        clean = np.repeat(blob[..., None], 3, axis=2).astype(np.float32)
        for seed in range(3):
            rng = np.random.default_rng(seed)
            view = downscale(clean, rng, factor=factor, jpeg=0.0, noise=(1e-6, 1e-6)).mean(axis=2)
            for axis in (y, x):
                centre, moved = ((image * axis).sum() / image.sum() for image in (blob, view))
                assert abs(moved - centre) < 0.03

    def test_fine_detail_goes_and_coarse_stays(self) -> None:
        rows = np.mgrid[0:96, 0:96][0]
        for period, kept in ((4, 0.15), (48, 0.85)):
            wave = (0.5 + 0.3 * np.sin(2 * np.pi * rows / period)).astype(np.float32)
            clean = np.repeat(wave[..., None], 3, axis=2)
            view = downscale(
                clean, np.random.default_rng(0), factor=4.0, jpeg=0.0, noise=(1e-5, 1e-5)
            )
            left = np.std(view[16:-16]) / np.std(clean[16:-16])
            assert left < kept if period == 4 else left > kept

    def test_a_larger_factor_loses_more(self) -> None:
        clean = textured((96, 96))
        lost = [
            np.mean((downscale(clean, np.random.default_rng(0), factor=f, jpeg=0.0) - clean) ** 2)
            for f in (1.5, 2.0, 3.0, 4.0)
        ]
        assert lost == sorted(lost)

    def test_a_kernel_has_its_widths_along_its_angle(self) -> None:
        kernel = gaussian(3.0, 1.0, np.pi / 6)
        radius = len(kernel) // 2
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        assert kernel.sum() == pytest.approx(1, abs=1e-6)
        along = x * np.cos(np.pi / 6) + y * np.sin(np.pi / 6)
        across = y * np.cos(np.pi / 6) - x * np.sin(np.pi / 6)
        assert np.sqrt((kernel * along**2).sum()) == pytest.approx(3, rel=0.05)
        assert np.sqrt((kernel * across**2).sum()) == pytest.approx(1, rel=0.05)


class TestLowLight:
    def test_the_light_is_what_was_drawn(self) -> None:
        clean = (smooth() * 0.6).astype(np.float32)
        view = low_light(
            clean, np.random.default_rng(0), light=(0.1, 0.1), cast=0.0, saturation=(1.0, 1.0),
            shot_noise=(1e-6, 1e-6),
        )  # fmt: skip
        ratio = float(to_light(view).mean() / to_light(clean).mean())
        assert ratio == pytest.approx(0.1, rel=0.1)

    def test_less_light_shows_more_noise_for_what_is_left(self) -> None:
        clean = np.full((96, 96, 3), 0.6, np.float32)
        relative = []
        for light in (0.2, 0.05, 0.01):
            views = [
                low_light(clean, np.random.default_rng(n), light=(light, light)) for n in range(12)
            ]
            relative.append(np.median([view.std() / view.mean() for view in views]))
        assert relative == sorted(relative)

    def test_pictures_come_out_as_dark_as_they_are_in_lol(self) -> None:
        means = [low_light(smooth(seed=n), np.random.default_rng(n)).mean() for n in range(40)]
        assert 0.02 < np.median(means) < 0.25
        assert max(means) < 0.45

    def test_there_and_back_is_the_same(self) -> None:
        levels = np.linspace(0, 1, 256, dtype=np.float32)
        np.testing.assert_allclose(to_display(to_light(levels)), levels, atol=1e-6)
        assert float(to_light(np.full(1, 0.5, np.float32))[0]) == pytest.approx(0.21404, abs=1e-4)


class TestDefocus:
    @pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
    def test_a_constant_picture_stays_constant(self, value: float) -> None:
        clean = np.full((64, 80, 3), value, np.float32)
        for seed in range(6):
            views = dual_pixel_defocus(clean, np.random.default_rng(seed), noise=(1e-9, 1e-9))
            for view in views:
                np.testing.assert_allclose(view, clean, atol=2e-4)

    def test_what_is_in_focus_is_left_alone(self) -> None:
        clean = textured((48, 48))
        sharp = np.zeros(clean.shape[:2], np.float32)
        for side in (-1.0, 1.0):
            np.testing.assert_allclose(_seen(clean, sharp, 6, side), clean, atol=1e-5)

    @pytest.mark.parametrize("radius", [0.6, 1.0, 3.3, 8.0])
    def test_halves_mirror_each_other_and_make_the_whole(self, radius: float) -> None:
        left, right, whole = (half_aperture(radius, side) for side in (-1, 1, 0))
        np.testing.assert_allclose(left, right[:, ::-1], atol=1e-6)
        np.testing.assert_allclose((left + right) / 2, whole, atol=1e-6)
        np.testing.assert_allclose(half_aperture(-radius, 1), left, atol=1e-6)
        assert left.sum() == pytest.approx(1, abs=1e-5)
        assert not np.allclose(left, right)

    @pytest.mark.parametrize("sign", [-1, 1])
    def test_the_views_part_to_opposite_sides_before_and_behind_the_focus(self, sign: int) -> None:
        clean = textured((96, 96))
        apart = []
        for radius in (2.0, 4.0, 8.0):
            signed = np.full(clean.shape[:2], sign * radius, np.float32)
            left, right = (_seen(clean, signed, 1, side) for side in (-1.0, 1.0))
            shift = shift_of(right, left)
            assert abs(shift[0]) < 0.1
            apart.append(sign * shift[1])
            both = ((left + right) / 2).astype(np.float32)
            assert np.abs(shift_of(both, clean)).max() < 0.3
        assert apart == sorted(apart)
        assert apart[0] > 0.5

    def test_a_split_of_nought_gives_two_equal_views(self) -> None:
        views = dual_pixel_defocus(
            textured((48, 48)), np.random.default_rng(0), split=(0.0, 0.0), noise=(1e-9, 1e-9)
        )
        np.testing.assert_allclose(*views, atol=1e-6)

    def test_the_largest_blur_is_the_one_that_was_asked_for(self) -> None:
        for seed in range(8):
            rng = np.random.default_rng(seed)
            depth = depth_map(40, 60, rng)
            assert 0 <= depth.min() <= depth.max() <= 1
            signed = blur_radii(depth, 5.0, rng)
            assert np.abs(signed).max() == pytest.approx(5, rel=1e-5)
            # What lies further back has the larger signed radius.
            order = np.argsort(depth.ravel())
            assert np.all(np.diff(signed.ravel()[order]) >= -1e-5)

    def test_no_seam_is_darker_or_brighter_than_what_meets_there(self) -> None:
        clean = np.clip(textured((96, 96)) * 0.1 + 0.45, 0, 1)
        low, high = clean.min(), clean.max()
        for seed in range(10):
            views = dual_pixel_defocus(clean, np.random.default_rng(seed), noise=(1e-9, 1e-9))
            for view in views:
                assert view.min() >= low - 1e-3
                assert view.max() <= high + 1e-3
