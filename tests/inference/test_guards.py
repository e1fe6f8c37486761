from typing import Any

import numpy as np
import pytest

from mirnet.checkpoints.expected import Expected
from mirnet.inference.guards import doubts_after, doubts_before
from tests.conftest import random_pixels

ALL = Expected(brightest=0.25, quietest=0.6, noisiest=8, shift=0.05, saturated=0.02)
HEIGHT, WIDTH = 120, 160


def scene(mean: float, noise: float, dtype: Any = np.uint8, channels: int = 3) -> Any:
    """A slope with noise, of such a mean and deviation in 1/255."""
    white = 1.0 if dtype == np.float32 else float(np.iinfo(dtype).max)
    slope = np.linspace(0.5, 1.5, WIDTH)[None, :, None] * mean
    rng = np.random.default_rng(0)
    noisy = slope + rng.normal(0, noise / 255, (HEIGHT, WIDTH, channels))
    levels = noisy.clip(0, 1) * white
    return levels.astype(dtype) if dtype == np.float32 else (levels + 0.5).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_usual_photo_raises_no_doubts(dtype: Any, channels: int) -> None:
    photo = scene(0.1, 5, dtype, channels)
    assert doubts_before([photo], ALL) == ()
    assert doubts_after(photo, photo, ALL) == ()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_is_unusual_about_a_photo_is_said(dtype: Any) -> None:
    (bright,) = doubts_before([scene(0.5, 5, dtype)], ALL)
    assert "bright already (mean 0.50; these weights are for photos below 0.25)" in bright
    (clean,) = doubts_before([scene(0.1, 0.1, np.float32)], ALL)
    assert clean.startswith("has next to no noise (0.1/255)")
    (noisy,) = doubts_before([scene(0.2, 18, dtype)], ALL)
    assert noisy.startswith("is noisy (11/255), or finely textured all over")  # of the luma
    (blank,) = doubts_before([np.full((HEIGHT, WIDTH, 3), 7, dtype)], ALL)
    assert blank == "is blank: there is nothing to restore"


def test_what_is_odd_about_a_result_is_said() -> None:
    before = scene(0.4, 5)
    red = before.copy()
    red[:, :, 0] = np.minimum(red[:, :, 0].astype(int) + 40, 255)
    (told,) = doubts_after(before, red, ALL)
    assert told.startswith("came out in other colours (mean +0.1")
    burnt = before.copy()
    burnt[:20, :20] = 255
    (told,) = doubts_after(before, burnt, ALL)
    assert told.startswith("came out with 2% more white")


def test_what_was_well_lit_and_became_white_is_said() -> None:
    expected = Expected(burnt=0.35)
    before = np.zeros((100, 100, 3), np.uint8)
    before[:20, :50] = 128  # a tenth
    after = before + 20
    after[:20, :20] = 255  # two fifths of it
    (burnt,) = doubts_after(before, after, expected)
    assert burnt.startswith("came out white in 40% of what was well lit: a lower strength")
    assert doubts_after(before, after, Expected(burnt=0.45)) == ()
    assert doubts_after(after, after, expected) == ()  # it was white already
    white_elsewhere = before.copy()
    white_elsewhere[50:] = 255
    assert doubts_after(before, white_elsewhere, expected) == ()
    specks = np.zeros((100, 100, 3), np.uint8)
    specks[0] = 128  # a hundredth
    assert doubts_after(specks, np.full_like(specks, 255), expected) == ()
    for grey in (before[..., :1], after[..., :1]), (before[..., :1], after):
        assert doubts_after(*grey, expected) == (burnt,)
    assert doubts_after(before, after.repeat(2, 0).repeat(2, 1), expected) == ()  # enlarged


def test_without_bounds_only_a_blank_photo_is_told() -> None:
    assert doubts_before([scene(0.9, 0.0)], Expected()) == ()
    assert doubts_after(scene(0.1, 5), scene(0.9, 5), Expected()) == ()
    assert doubts_before([np.zeros((4, 4, 3), np.uint8)], Expected())


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (9, 1, 1), (2, 2, 3), (3000, 2, 3)])
def test_any_size_is_looked_at(shape: tuple[int, ...]) -> None:
    photo = random_pixels(shape)
    doubts_before([photo], ALL)
    assert doubts_after(photo, photo.repeat(2, 0).repeat(2, 1), Expected(saturated=0.5)) == ()


def test_what_is_clipped_counts_neither_as_noise_nor_as_quiet() -> None:
    photo = scene(0.2, 10)
    photo[:90] = 0
    assert doubts_before([photo], ALL) == ()


def test_texture_is_no_noise_where_a_part_of_the_photo_is_smooth() -> None:
    photo = scene(0.2, 1)
    rng = np.random.default_rng(1)
    grass = photo[30:].astype(int) + rng.normal(0, 25, (HEIGHT - 30, WIDTH, 1)).round().astype(int)
    photo[30:] = grass.clip(0, 255)
    assert doubts_before([photo], ALL) == ()


@pytest.mark.parametrize("flat", [(3, 3, 3), (250, 250, 250), (255, 0, 0), (1, 2, 1)])
def test_bars_of_one_colour_make_no_noisy_photo_quiet(flat: tuple[int, int, int]) -> None:
    photo = scene(0.2, 18)
    photo[: HEIGHT // 3] = flat
    doubts = doubts_before([photo], Expected(quietest=0.6, noisiest=8))
    assert [doubt.startswith("is noisy") for doubt in doubts] == [True]


def test_a_thing_well_lit_before_a_black_ground_is_not_too_dark() -> None:
    photo = scene(0.02, 2)
    photo[40:80, 60:90] = 160
    assert float(photo.mean()) / 255 < 0.1
    assert doubts_before([photo], Expected(darkest=0.1)) == ()


def test_a_photo_too_dark_for_the_weights_is_sent_to_low_light() -> None:
    (dark,) = doubts_before([scene(0.05, 5)], Expected(darkest=0.1))
    assert dark.startswith("is dark (mean 0.05; these weights are for photos above 0.10)")
    assert "--task low-light" in dark


def test_what_was_taken_in_next_to_no_light_is_not_blank_where_bits_are_deep() -> None:
    dark = [scene(0.004, 0, dtype) for dtype in (np.uint8, np.uint16, np.float32)]
    told = [doubts_before([photo], Expected()) for photo in dark]
    assert told == [("is blank: there is nothing to restore",), (), ()]


def test_colours_of_one_luma_are_no_blank_picture() -> None:
    photo = np.zeros((40, 40, 3), np.uint8)
    photo[:, :20] = (150, 0, 0)
    photo[:, 20:] = (0, 76, 0)
    assert doubts_before([photo], Expected()) == ()


def test_both_views_are_looked_at_and_one_doubt_about_both_is_told_once() -> None:
    usual, noisy = scene(0.2, 5), scene(0.2, 18)
    assert doubts_before([usual, usual], ALL) == ()
    (told,) = doubts_before([usual, noisy], ALL)
    assert told.startswith("has a right view that is noisy (11/255)")
    (told,) = doubts_before([noisy, noisy], ALL)
    assert told.startswith("is noisy (11/255)")
    (told,) = doubts_before([usual, np.full_like(usual, 50)], Expected())
    assert told == "has a right view that is blank: there is nothing to restore"


@pytest.mark.parametrize("channels", [1, 3])
def test_views_of_two_photos_are_told(channels: int) -> None:
    left = scene(0.4, 3, channels=channels)
    views = Expected(apart=0.06)
    assert doubts_before([left, scene(0.4, 6, channels=channels)], views) == ()
    (told,) = doubts_before([left, left[:, ::-1]], views)
    assert told.startswith("has views that differ by 0.20 on the mean (usual: below 0.06)")


def test_colours_may_move_together_further_than_apart() -> None:
    before = scene(0.1, 2)
    expected = Expected(shift=0.5, tint=0.1)
    brighter = before + np.uint8(100)
    assert doubts_after(before, brighter, expected) == ()
    brighter[:, :, 0] += 40
    (told,) = doubts_after(before, brighter, expected)
    assert told.startswith("came out in other colours (mean +0.55, +0.39, +0.39)")
    (told,) = doubts_after(before, before + np.uint8(140), expected)
    assert told.startswith("came out in other colours (mean +0.55, +0.55, +0.55)")
