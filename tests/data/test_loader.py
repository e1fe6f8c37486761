from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet.data.degradations import bound
from mirnet.data.loader import SampleRequest, Source, TrainingSamples, make_loader
from mirnet.data.packing import pack
from mirnet.data.pair import Pair
from mirnet.data.picture import FilePicture, Region
from mirnet.data.sources import find_pairs
from mirnet.errors import DataError
from tests.data.conftest import MakePairs
from tests.data.publishers import put

REQUESTS = [[SampleRequest(4 * batch + i, 16) for i in range(4)] for batch in range(3)]


def samples_of(*sources: Source, seed: int = 3, mixup: float | None = None) -> TrainingSamples:
    return TrainingSamples(sources, seed=seed, augmentations=("transpose",), mixup=mixup)


def drawn(samples: TrainingSamples, workers: int = 0) -> list[tuple[Tensor, Tensor]]:
    return list(make_loader(samples, REQUESTS, workers=workers))


def same(one: list[tuple[Tensor, Tensor]], two: list[tuple[Tensor, Tensor]]) -> bool:
    def flat(batches: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        return [tensor for batch in batches for tensor in batch]

    return all(torch.equal(a, b) for a, b in zip(flat(one), flat(two), strict=True))


@pytest.fixture
def samples(make_pairs: MakePairs) -> TrainingSamples:
    pairs = Source(pairs=find_pairs(make_pairs("a", "b", "c")), weight=1)
    clean = find_pairs(make_pairs("d", "e", folder="clean", views=()), "clean")
    noisy = Source(pairs=clean, weight=1, degradation=bound("camera-noise", {}), exposure=True)
    return samples_of(pairs, noisy)


def test_a_batch(samples: TrainingSamples) -> None:
    for views, target in drawn(samples):
        assert views.shape == target.shape == (4, 3, 16, 16)
        assert views.dtype == target.dtype == torch.float32
        assert 0 <= float(target.min()) <= float(target.max()) <= 1
        assert not torch.equal(views, target)


def test_samples_depend_on_the_seed_and_their_number_alone(samples: TrainingSamples) -> None:
    first = drawn(samples)
    again = samples_of(*samples.sources)
    assert same(drawn(again), first)
    assert same([drawn(samples)[2]], [first[2]])
    assert torch.equal(again[REQUESTS[1][2]][0], first[1][0][2])
    other_seed = samples_of(*samples.sources, seed=4)
    assert not same(drawn(other_seed), first)


def test_worker_processes_change_nothing(samples: TrainingSamples) -> None:
    assert same(drawn(samples, workers=2), drawn(samples))


def test_a_crop_comes_from_one_place_of_its_pair(make_pairs: MakePairs) -> None:
    pair = find_pairs(make_pairs("a"))[0]
    samples = samples_of(Source(pairs=(pair,), weight=1))
    view, target = samples[SampleRequest(0, 16)]
    whole_view, whole_target = (picture.pixels() for picture in pair.pictures())
    assert find(view, whole_view) == find(target, whole_target)


def find(patch: Tensor, picture: np.ndarray) -> tuple[int, int, bool]:
    """Where the patch lies in the picture, and whether it is transposed."""
    pixels = (patch * 255).round().to(torch.uint8).numpy().transpose(1, 2, 0)
    size = len(pixels)
    for top in range(picture.shape[0] - size + 1):
        for left in range(picture.shape[1] - size + 1):
            window = picture[top : top + size, left : left + size]
            if np.array_equal(window, pixels):
                return top, left, False
            if np.array_equal(window.transpose(1, 0, 2), pixels):
                return top, left, True
    raise AssertionError("the patch is not in the picture")


def test_two_views_are_stacked(make_pairs: MakePairs) -> None:
    pairs = find_pairs(make_pairs("a", views=("inputL", "inputR")))
    views, target = samples_of(Source(pairs=pairs, weight=1))[SampleRequest(0, 16)]
    assert views.shape == (6, 16, 16)
    assert target.shape == (3, 16, 16)
    wholes = [picture.pixels() for picture in pairs[0].pictures()]
    parts = (views[:3], views[3:], target)
    places = [find(part, whole) for part, whole in zip(parts, wholes, strict=True)]
    assert len(set(places)) == 1


def test_only_the_crop_is_read(samples: TrainingSamples, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Region | None] = []
    pixels = FilePicture.pixels

    def noted(self: FilePicture, region: Region | None = None) -> np.ndarray:
        read.append(region)
        return pixels(self, region)

    monkeypatch.setattr(FilePicture, "pixels", noted)
    for number in range(4):
        samples[SampleRequest(number, 8, shrink=2)]
    assert read
    assert {(region.height, region.width) for region in read if region} == {(16, 16)}
    assert None not in read


def test_a_shrunk_sample_is_the_larger_one_averaged(samples: TrainingSamples) -> None:
    pairs = samples_of(samples.sources[0])
    for number in range(4):
        large, small = pairs[SampleRequest(number, 16)], pairs[SampleRequest(number, 8, shrink=2)]
        for whole, shrunk in zip(large, small, strict=True):
            expected = torch.nn.functional.avg_pool2d(whole, 2)
            torch.testing.assert_close(shrunk, expected)


def test_sources_are_drawn_by_weight(tmp_path: Path) -> None:
    sources = []
    for value, weight in ((0, 3.0), (255, 1.0)):
        flat = put(tmp_path / f"{value}.png", np.full((16, 16, 3), value, np.uint8))
        pair = Pair(id=str(value), views=(FilePicture(flat),), target=FilePicture(flat))
        sources.append(Source(pairs=(pair,), weight=weight))
    samples = samples_of(*sources)
    dark = sum(float(samples[SampleRequest(n, 16)][1].mean()) == 0 for n in range(400))
    assert abs(dark / 400 - 0.75) < 0.07


def test_mixup_mixes_half_the_samples_with_another(tmp_path: Path) -> None:
    pairs = []
    for value in (0, 255):
        flat = put(tmp_path / f"{value}.png", np.full((16, 16, 3), value, np.uint8))
        pairs.append(Pair(id=str(value), views=(FilePicture(flat),), target=FilePicture(flat)))
    samples = samples_of(Source(pairs=tuple(pairs), weight=1), mixup=1.2)
    values = []
    for number in range(400):
        view, target = samples[SampleRequest(number, 8)]
        assert torch.equal(view, target)
        assert view.max() == view.min()
        values.append(float(view.mean()))
    grey = [value for value in values if 0 < value < 1]
    # Half of the samples are mixed, and half of those with a picture of the same value.
    assert abs(len(grey) / 400 - 0.25) < 0.06
    # The variance of Beta(1.2, 1.2) is 1 / (4 (2 · 1.2 + 1)).
    assert abs(np.var(grey) - 1 / (4 * 3.4)) < 0.025


def test_clean_pictures_are_degraded(make_pairs: MakePairs) -> None:
    clean = find_pairs(make_pairs("a", views=()), "clean")
    source = Source(pairs=clean, weight=1, degradation=bound("gaussian-noise", {}))
    view, target = samples_of(source)[SampleRequest(0, 16)]
    assert clean[0].target is not None
    assert find(target, clean[0].target.pixels())
    assert 0 < float((view - target).abs().mean()) < 0.5


@pytest.mark.parametrize("workers", [0, 1])
def test_a_packed_file_that_vanishes_is_told_in_one_line(
    workers: int, make_pairs: MakePairs, tmp_path: Path
) -> None:
    pairs = find_pairs(make_pairs("a", "b"))
    packed = pack(pairs, tmp_path / "packed", dataset="pairs", split="train").pairs
    piece = tmp_path / "packed" / "train" / "piece-00000.bin"
    piece.unlink()
    with pytest.raises(DataError) as caught:
        drawn(samples_of(Source(pairs=packed, weight=1)), workers=workers)
    assert str(caught.value).startswith(
        f"{piece}: can't be read (No such file or directory); bring"
    )
    assert "\n" not in str(caught.value)
