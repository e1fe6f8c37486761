from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mirnet.data.degradations import (
    DEGRADATIONS,
    VIEWS,
    bound,
    camera_jpeg,
    camera_noise,
    gaussian_noise,
    random_exposure,
)
from mirnet.data.degradations.demosaic import demosaiced
from mirnet.errors import DataError

Picture = NDArray[np.float32]
PLAIN: dict[str, Any] = {
    "banding": 0.0,
    "blotches": 0.0,
    "denoise": 0.0,
    "sharpen": 0.0,
    "quantize": 0.0,
}


def flat(value: float, *, height: int = 64, width: int = 64) -> Picture:
    return np.full((height, width, 3), value, np.float32)


def colourful(*, height: int = 48, width: int = 48) -> Picture:
    ramp = np.random.default_rng(7).random((height, width, 3), np.float32)
    return np.ascontiguousarray(0.1 + 0.8 * ramp)


def neighbour_correlation(noise: Picture, *, axis: int) -> float:
    noise = noise - noise.mean(axis=(0, 1))
    one, other = (noise[:, 1:], noise[:, :-1]) if axis == 1 else (noise[1:], noise[:-1])
    return float((one * other).mean() / (noise**2).mean())


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_is_a_pure_function_of_picture_and_generator(name: str) -> None:
    clean = colourful()
    before = clean.tobytes()
    first, second, other = (
        b"".join(view.tobytes() for view in bound(name, {})(clean, np.random.default_rng(seed)))
        for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other
    assert clean.tobytes() == before


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 1), (17, 31), (48, 33)])
def test_any_size_gives_pictures_in_range(name: str, size: tuple[int, int]) -> None:
    clean = colourful(height=size[0], width=size[1])
    for seed in range(8):
        views = bound(name, {})(clean, np.random.default_rng(seed))
        assert len(views) == VIEWS.get(name, 1)
        for view in views:
            assert view.shape == clean.shape
            assert view.dtype == np.float32
            assert np.isfinite(view).all()
            assert view.min() >= 0
            assert view.max() <= 1


def test_all_steps_together_work_on_one_pixel_and_on_a_view() -> None:
    steps: dict[str, Any] = dict.fromkeys(PLAIN, 1.0)
    for clean in (flat(0.5, height=1, width=1), colourful().transpose(1, 0, 2)[::-1, ::2]):
        noisy = camera_noise(clean, np.random.default_rng(0), white=0.0, **steps)
        assert noisy.shape == clean.shape
        assert np.isfinite(noisy).all()


def test_mid_tones_keep_their_mean() -> None:
    clean = flat(0.5)
    shifts = [
        float((camera_noise(clean, np.random.default_rng(seed), shot_noise=(1e-4, 4e-3))).mean())
        - 0.5
        for seed in range(40)
    ]
    assert abs(np.mean(shifts)) < 0.003
    assert max(map(abs, shifts)) < 0.03


@pytest.mark.parametrize("white", [0.0, 1.0])
def test_a_structured_picture_keeps_its_structure(white: float) -> None:
    clean = np.zeros((32, 32, 3), np.float32) + 0.3
    clean[:, 16:] = 0.6, 0.5, 0.4
    total = np.zeros_like(clean, np.float64)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        total += camera_noise(clean, rng, white=white, shot_noise=(1e-4, 5e-4), read_noise=(1, 2))
    assert np.abs(total / 150 - clean).max() < 0.012  # blur or demosaicing would leave 0.1


def test_without_noise_the_picture_returns_unless_its_artefacts_are_asked_for() -> None:
    clean = colourful()
    nearly_none: dict[str, Any] = {
        "shot_noise": (1e-9, 1e-9),
        "read_noise": (1e-3, 1e-3),
        "exposure": (1.0, 1.0),
    }
    quiet = camera_noise(clean, np.random.default_rng(0), **nearly_none, **PLAIN)
    assert np.abs(quiet - clean).max() < 0.01
    mosaic = camera_noise(
        clean,
        np.random.default_rng(0),
        demosaic_clean=True,
        **nearly_none,
        **PLAIN,
    )
    assert np.abs(mosaic - clean).max() > 0.1


def test_noise_grows_with_brightness_in_linear_light() -> None:
    """The tone exponent 1 shows linear light."""
    deviations = [
        np.mean(
            [
                np.std(
                    camera_noise(
                        flat(value),
                        np.random.default_rng(seed),
                        shot_noise=(1e-3, 1e-3),
                        tone_exponent=(1.0, 1.0),
                        **PLAIN,
                    ),
                    axis=(0, 1),
                )
                for seed in range(10)
            ]
        )
        for value in (0.1, 0.3, 0.7)
    ]
    assert deviations[0] * 1.3 < deviations[1]
    assert deviations[1] * 1.3 < deviations[2]


@pytest.mark.parametrize("axis", [0, 1])
def test_mosaic_noise_is_correlated_and_subsampled_noise_is_not(axis: int) -> None:
    clean = flat(0.4, height=96, width=96)
    for seed in range(5):
        mosaic, white = (
            camera_noise(clean, np.random.default_rng(seed), white=white, **PLAIN) - clean
            for white in (0.0, 1.0)
        )
        assert neighbour_correlation(mosaic, axis=axis) > 0.25
        assert abs(neighbour_correlation(white, axis=axis)) < 0.03


def test_denoising_lengthens_the_correlation() -> None:
    clean = flat(0.4, height=96, width=96)
    steps = PLAIN | {"white": 1.0}
    lengths = []
    for denoise in (0.0, 1.0):
        steps["denoise"] = denoise
        noise = [camera_noise(clean, np.random.default_rng(s), **steps) - clean for s in range(5)]
        lengths.append(np.mean([neighbour_correlation(n, axis=1) for n in noise]))
    assert lengths[0] < 0.03
    assert lengths[1] > 0.3


def test_the_drawn_noise_covers_16_to_40_db() -> None:
    clean = random_exposure(colourful(), np.random.default_rng(5), exposure=(0.3, 0.3))
    psnr = [
        -10 * np.log10(np.mean((camera_noise(clean, np.random.default_rng(s)) - clean) ** 2))
        for s in range(150)
    ]
    assert np.percentile(psnr, 10) < 20
    assert min(psnr) < 16
    assert np.percentile(psnr, 90) > 36
    assert max(psnr) > 40
    assert 24 < np.median(psnr) < 33


@pytest.mark.parametrize("correction", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("red", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_demosaicing_finds_grey_planes_and_keeps_measured_pixels(
    red: tuple[int, int], correction: float
) -> None:
    rows, columns = np.mgrid[:12, :14].astype(np.float32)
    plane = 0.02 * rows + 0.01 * columns
    colours = demosaiced(plane, red, correction)
    np.testing.assert_allclose(colours[:, 3:-3, 3:-3], np.stack([plane[3:-3, 3:-3]] * 3), atol=1e-6)
    mosaic = np.random.default_rng(0).random((12, 14), np.float32)
    colours = demosaiced(mosaic, red, correction)
    for channel, (row, column) in ((0, red), (2, (1 - red[0], 1 - red[1]))):
        sites = np.s_[row::2, column::2]
        np.testing.assert_array_equal(colours[channel][sites], mosaic[sites])


def test_quantized_pictures_lie_on_the_8_bit_grid() -> None:
    noisy = camera_noise(flat(0.5), np.random.default_rng(0), quantize=1.0)
    np.testing.assert_allclose(noisy * 255, np.rint(noisy * 255), atol=1e-4)


def test_gaussian_noise_has_the_deviation_asked_for() -> None:
    noise = gaussian_noise(flat(0.5), np.random.default_rng(0), sigma=(0.1, 0.1)) - 0.5
    assert abs(float(noise.std()) - 0.1) < 0.003
    assert abs(neighbour_correlation(noise, axis=1)) < 0.03


def test_random_exposure_only_darkens_and_keeps_grey() -> None:
    for seed in range(10):
        clean = np.repeat(colourful()[..., :1], 3, axis=2)
        dark = random_exposure(clean, np.random.default_rng(seed))
        assert dark.dtype == np.float32
        assert (dark <= clean + 1e-6).all()
        assert np.ptp(dark, axis=2).max() < 1e-5
    clean = colourful()
    same = random_exposure(
        clean, np.random.default_rng(0), exposure=(1.0, 1.0), saturation=(1.0, 1.0)
    )
    np.testing.assert_allclose(same, clean, atol=1e-5)


@pytest.mark.parametrize("degrade", [*DEGRADATIONS.values(), random_exposure])
@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.float64),
        np.zeros((4, 4), np.float32),
        np.zeros((3, 4, 4), np.float32),
        np.zeros((0, 4, 3), np.float32),
    ],
)
def test_other_pictures_are_refused(degrade: object, wrong: NDArray[np.generic]) -> None:
    assert callable(degrade)
    with pytest.raises(DataError, match=r"float32 \(H, W, 3\)"):
        degrade(wrong, np.random.default_rng(0))


@pytest.mark.parametrize(
    "span",
    [
        {"shot_noise": (0.0, 1e-2)},
        {"shot_noise": (1e-2, 1e-3)},
        {"read_noise": (-1.0, 2.0)},
        {"exposure": (0.5, 2.0)},
        {"tone_exponent": (0.5, 2.0)},
    ],
)
def test_impossible_ranges_are_named(span: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=next(iter(span))):
        camera_noise(flat(0.5), np.random.default_rng(0), **span)


def test_camera_jpeg_leaves_coarse_and_weak_grain_and_some_pictures_alone() -> None:
    clean = flat(0.5, height=96, width=96)
    deviations, coarse, same = [], 0, 0
    for seed in range(40):
        grain = camera_jpeg(clean, np.random.default_rng(seed)) - clean
        deviation = float(grain.std())
        if deviation < 1e-6:
            same += 1
            continue
        deviations.append(deviation * 255)
        coarse += neighbour_correlation(grain, axis=1) > 0.4
    assert 1 <= same <= 12  # one in ten is left as it is, and the weakest grain rounds to nothing
    assert max(deviations) < 15
    assert coarse > len(deviations) / 2


def test_camera_jpeg_can_make_colour_weaker_and_coarser_than_brightness() -> None:
    clean = flat(0.5, height=96, width=96)

    def colour_and_grey(**options: Any) -> tuple[Picture, Picture]:
        rng = np.random.default_rng(1)
        grain = camera_jpeg(clean, rng, untouched=0, jpeg=0, sigma=(0.03, 0.03), **options) - clean
        return grain[..., :1] - grain[..., 1:2], grain.mean(2, keepdims=True)

    plain, _ = colour_and_grey(enlarge=(1, 1))
    coarse, _ = colour_and_grey(enlarge=(1, 1), colour_enlarge=(2, 2))
    closeness = [neighbour_correlation(each, axis=1) for each in (plain, coarse)]
    assert closeness[1] > closeness[0] + 0.2
    none, grey = colour_and_grey(colour=(0, 0))
    assert np.abs(none).max() < 1.01 / 255  # what rounding leaves
    assert grey.std() == pytest.approx(0.03, rel=0.05)
    with pytest.raises(DataError, match="colour is"):
        camera_jpeg(clean, np.random.default_rng(0), colour=(-1, 1))


def test_camera_jpeg_can_be_told_what_to_leave_out() -> None:
    clean = colourful()
    rounded = np.rint(clean * 255) / 255
    kept = camera_jpeg(clean, np.random.default_rng(0), untouched=1.0, jpeg=0.0)
    assert np.abs(kept - rounded).max() < 1e-6
    stored = camera_jpeg(clean, np.random.default_rng(0), untouched=1.0, jpeg=1.0)
    assert 0 < np.abs(stored - clean).mean() < 0.1
    with pytest.raises(DataError, match="quality"):
        camera_jpeg(clean, np.random.default_rng(0), quality=(0, 50))
