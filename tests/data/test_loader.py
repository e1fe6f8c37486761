import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet.data.loader import SampleRequest, Source, TrainingSamples, make_loader
from mirnet.data.manifest import scan_clean, scan_pairs
from mirnet.errors import DataError
from mirnet.imaging.io import read_photo
from tests.data.conftest import MakePairs

REQUESTS = [[SampleRequest(4 * batch + i, 16) for i in range(4)] for batch in range(3)]


def samples_of(*sources: Source, cache: Path, seed: int = 3) -> TrainingSamples:
    return TrainingSamples(sources, seed=seed, augmentations=("transpose",), cache=cache)


def drawn(samples: TrainingSamples, workers: int = 0) -> list[tuple[Tensor, Tensor]]:
    return list(make_loader(samples, REQUESTS, workers=workers))


def same(one: list[tuple[Tensor, Tensor]], two: list[tuple[Tensor, Tensor]]) -> bool:
    def flat(batches: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
        return [tensor for batch in batches for tensor in batch]

    return all(torch.equal(a, b) for a, b in zip(flat(one), flat(two), strict=True))


@pytest.fixture
def samples(make_pairs: MakePairs, tmp_path: Path) -> TrainingSamples:
    pairs = Source(pairs=scan_pairs(make_pairs("a", "b", "c")), weight=1)
    clean = scan_clean(make_pairs("d", "e", folder="clean", views=()))
    noisy = Source(pairs=clean, weight=1, degradation="camera-noise", exposure=True)
    return samples_of(pairs, noisy, cache=tmp_path / "cache")


def test_a_batch(samples: TrainingSamples) -> None:
    for views, target in drawn(samples):
        assert views.shape == target.shape == (4, 3, 16, 16)
        assert views.dtype == target.dtype == torch.float32
        assert 0 <= float(target.min()) <= float(target.max()) <= 1
        assert not torch.equal(views, target)


def test_samples_depend_on_the_seed_and_their_number_alone(
    samples: TrainingSamples, tmp_path: Path
) -> None:
    first = drawn(samples)
    again = samples_of(*samples.sources, cache=tmp_path / "other")
    assert same(drawn(again), first)
    assert same([drawn(samples)[2]], [first[2]])
    assert torch.equal(again[REQUESTS[1][2]][0], first[1][0][2])
    other_seed = samples_of(*samples.sources, cache=tmp_path / "cache", seed=4)
    assert not same(drawn(other_seed), first)


def test_worker_processes_change_nothing(samples: TrainingSamples) -> None:
    assert same(drawn(samples, workers=2), drawn(samples))


def test_a_crop_comes_from_one_place_of_its_pair(make_pairs: MakePairs, tmp_path: Path) -> None:
    pair = scan_pairs(make_pairs("a"))[0]
    samples = samples_of(Source(pairs=(pair,), weight=1), cache=tmp_path / "cache")
    view, target = samples[SampleRequest(0, 16)]
    whole_view, whole_target = (read_photo(path).pixels for path in (*pair.views, pair.target))
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


def test_two_views_are_stacked(make_pairs: MakePairs, tmp_path: Path) -> None:
    pairs = scan_pairs(make_pairs("a", views=("inputL", "inputR")))
    samples = samples_of(Source(pairs=pairs, weight=1), cache=tmp_path / "cache")
    views, target = samples[SampleRequest(0, 16)]
    assert views.shape == (6, 16, 16)
    assert target.shape == (3, 16, 16)


def test_sources_are_drawn_by_weight(make_pairs: MakePairs, tmp_path: Path) -> None:
    dark, bright = (
        Source(pairs=scan_pairs(make_pairs("a", folder=name)), weight=weight)
        for name, weight in (("dark", 3.0), ("bright", 1.0))
    )
    samples = samples_of(dark, bright, cache=tmp_path / "cache")
    names = []
    samples.pictures.get = lambda path: names.append(path) or np.zeros((24, 32, 3), np.uint8)  # type: ignore[method-assign,func-returns-value]
    for number in range(400):
        samples[SampleRequest(number, 16)]
    share = sum("dark" in path.parts for path in names) / len(names)
    assert abs(share - 0.75) < 0.07


def test_clean_pictures_are_degraded(make_pairs: MakePairs, tmp_path: Path) -> None:
    clean = scan_clean(make_pairs("a", views=()))
    source = Source(pairs=clean, weight=1, degradation="gaussian-noise")
    samples = samples_of(source, cache=tmp_path / "cache")
    view, target = samples[SampleRequest(0, 16)]
    assert find(target, read_photo(clean[0].target).pixels)
    assert 0 < float((view - target).abs().mean()) < 0.5


def test_a_picture_that_can_t_be_read_does_not_end_the_run(
    make_pairs: MakePairs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_pairs("a", "b", "c")
    samples = samples_of(Source(pairs=scan_pairs(folder), weight=1), cache=tmp_path / "cache")
    broken = next((folder / "target").glob("b.*"))
    broken.write_bytes(broken.read_bytes()[:50])
    assert len(drawn(samples)) == len(REQUESTS)
    told = [record.message for record in caplog.records if record.name == "mirnet"]
    assert [message.count(str(broken)) for message in told] == [1]
    for path in (folder / "target").iterdir():
        path.unlink()
    shutil.rmtree(tmp_path / "cache")
    gone = samples_of(Source(pairs=samples.sources[0].pairs, weight=1), cache=tmp_path / "other")
    with pytest.raises(DataError, match="8 pictures in a row can't be read"):
        drawn(gone)
