"""Classical methods: do they do what they are for?"""

from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from mirnet.choices import BaselineName
from mirnet.data.sources import find_pairs
from mirnet.errors import DataError, MissingDependencyError
from mirnet.evaluation.baselines import BASELINES, by_baseline, denoising
from mirnet.evaluation.baselines.brightening import lime
from mirnet.evaluation.evaluate import evaluate, load_pair
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.metrics.protocol import PROTOCOLS
from tests.data.publishers import picture


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("noisy")
    clean = picture(3, size=(48, 64))
    noise = np.random.default_rng(0).normal(0, 20, clean.shape)
    for part, pixels in (("target", clean), ("input", np.clip(clean + noise, 0, 255))):
        (folder / part).mkdir()
        write_photo(Photo(pixels=pixels.astype(np.uint8)), folder / part / "a.png")
    return folder


def test_all_are_listed() -> None:
    assert tuple(BASELINES) == get_args(BaselineName)


def test_denoisers_denoise_and_the_best_noise_level_is_best(
    noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denoising, "SIGMAS", np.array([10, 20, 40]) / 255)  # each takes a second
    monkeypatch.setattr(denoising, "REFINEMENTS", 0)
    pairs = find_pairs(noisy)
    gains = {}
    for name in ("bm3d", "bm3d-best", "non-local-means"):
        method = by_baseline(name)
        (scored,) = evaluate(
            lambda views, method=method: method.restore(pairs[0], views),  # type: ignore[misc]
            pairs,
            PROTOCOLS["sidd"],
        )
        gains[name] = scored.scores["psnr"] - scored.input["psnr"]
    assert all(gain > 5 for gain in gains.values())
    assert gains["bm3d-best"] >= gains["bm3d"] - 1e-4  # which float32 may take away


@pytest.mark.filterwarnings("error")
def test_a_channel_without_noise_doesn_t_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-image's estimate is NaN for a channel that is the same everywhere."""
    monkeypatch.setattr(denoising, "SIGMAS", np.array([10, 40]) / 255)
    monkeypatch.setattr(denoising, "REFINEMENTS", 0)
    clean = picture(3, size=(48, 64)) / 255
    clean[..., 2] = 0
    noise = np.random.default_rng(0).normal(0, 20 / 255, clean.shape)
    noisy = np.clip(clean + noise * (1, 1, 0), 0, 1)
    assert 10 / 255 < denoising.estimated_sigma(noisy) < 40 / 255
    assert denoising.estimated_sigma(np.zeros((32, 32, 3))) == denoising.LEAST_SIGMA
    error = ((noisy - clean) ** 2).mean()
    for cleaned in (
        denoising.bm3d(noisy, denoising.estimated_sigma(noisy)),
        denoising._best(noisy, clean),
        denoising.non_local_means(noisy),
    ):
        assert ((cleaned - clean) ** 2).mean() < error / 3


def test_brighteners_brighten_and_keep_size(noisy: Path) -> None:
    pair = find_pairs(noisy)[0]
    views, _ = load_pair(pair)
    dark = views / 6
    for name in ("histogram-equalisation", "clahe", "lime"):
        restored = by_baseline(name).restore(pair, dark)
        assert restored.shape == views.shape
        assert restored.min() >= 0
        assert restored.max() <= 1
        assert restored.mean() > 1.5 * dark.mean()


def test_a_single_view_has_no_mean_of_views(noisy: Path) -> None:
    pair = find_pairs(noisy)[0]
    with pytest.raises(DataError, match="its pair has one view"):
        by_baseline("mean-of-views").restore(pair, load_pair(pair)[0])


def test_lime_smooths_light_within_surfaces_and_not_across_edges() -> None:
    """Two surfaces, each with texture, one in a fifth of the other's light."""
    texture = 1 + 0.2 * np.random.default_rng(0).standard_normal((48, 64))
    light = np.where(np.arange(64) < 32, 0.1, 0.5) * np.ones((48, 1))
    scene = np.clip(light * texture, 0.01, 1)[..., None].repeat(3, axis=2)
    lit = lime(scene)[..., 0]
    left, right = lit[:, :30].mean(), lit[:, 34:].mean()
    assert left / right > 2 * 0.1 / 0.5  # brought closer to each other
    assert lit[:, :30].std() > gaussian_filter(lit, 2)[:, :30].std()  # the texture is still there
    assert abs(np.diff(lit.mean(axis=0)))[28:35].argmax() == 3  # the edge has stayed where it was


def test_the_mean_of_views_is_their_mean(noisy: Path) -> None:
    pair = find_pairs(noisy)[0]
    one, other = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    restored = by_baseline("mean-of-views").restore(pair, torch.cat([one, other], dim=1))
    torch.testing.assert_close(restored, (one + other) / 2)


def test_unsharp_masking_brings_a_blurred_picture_closer(noisy: Path) -> None:
    pair = find_pairs(noisy)[0]
    scene = torch.from_numpy(np.random.default_rng(0).random((40, 40)).repeat(2, 0).repeat(2, 1))
    sharp = gaussian_filter(scene.numpy(), 0.5)
    soft = torch.from_numpy(gaussian_filter(sharp, 0.8)).expand(1, 3, 80, 80).float()
    restored = by_baseline("unsharp-mask").restore(pair, soft).numpy()[0, 0]
    assert ((restored - sharp) ** 2).mean() < 0.7 * ((soft.numpy()[0, 0] - sharp) ** 2).mean()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("mirnet.evaluation.baselines.version", missing)
    with pytest.raises(MissingDependencyError, match=r"lime needs scipy; pip install"):
        by_baseline("lime")


def test_non_local_means_takes_the_noise_off_what_tells_patches_apart() -> None:
    """In a flat picture all patches are alike, and nearly all of their noise is averaged away."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 20 / 255, (40, 40, 3))
    left = denoising.non_local_means(0.5 + noise) - 0.5
    assert left.std() < 0.115 * noise.std()  # 0.133 if it is left in, 0.077 at best
