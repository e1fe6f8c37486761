"""Every benchmark of the paper, tiny but as its publisher lays it out, scored end to end."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mirnet.choices import BenchmarkName
from mirnet.data.packing import pack
from mirnet.data.sources import find_pairs
from mirnet.evaluation.benchmarks import BENCHMARKS, remark
from mirnet.evaluation.method import Method
from mirnet.evaluation.run import run
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.metrics.protocol import PROTOCOLS
from mirnet.tasks.evaluation import of_benchmark, task_of
from tests.data import publishers

FIRST_VIEW = Method(
    name="first view", identity={"kind": "test"}, restore=lambda _, views: views[:, :3]
)
PUBLISHED: dict[BenchmarkName, tuple[Callable[[Path], Path], int]] = {
    "dpdd": (publishers.dpdd, 3),
    "sidd": (publishers.sidd, 6),
    "realsr-x2": (publishers.realsr, 4),
    "realsr-x3": (partial(publishers.realsr, scale=3), 4),
    "realsr-x4": (partial(publishers.realsr, scale=4), 4),
    "lol": (publishers.lol, 2),
    "fivek": (publishers.fivek, 2),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_benchmark_is_scored_as_it_is_published(name: BenchmarkName, tmp_path: Path) -> None:
    make, count = PUBLISHED[name]
    subject = of_benchmark(name, make(tmp_path / "data"), note=None)
    assert subject.protocol == PROTOCOLS[BENCHMARKS[name].protocol or "photo"]
    scores = run(FIRST_VIEW, subject.pairs, subject.protocol, data=subject.data)
    assert len(scores.pairs) == count
    assert scores.faults == ()
    assert all(pair.scores == pair.input for pair in scores.pairs)
    assert 5 < scores.means()["psnr"] < 60
    assert 0 < scores.means()["ssim"] < 1


def test_dpdd_is_scored_in_parts_as_scikit_image_would(tmp_path: Path) -> None:
    subject = of_benchmark("dpdd", publishers.dpdd(tmp_path), note=None)
    assert subject.protocol is not None
    scores = run(FIRST_VIEW, subject.pairs, subject.protocol, data=subject.data)
    assert scores.groups == ("indoor", "outdoor")
    parts = {"indoor": [0, 2], "outdoor": [1]}
    for group, places in parts.items():
        psnr, ssim = [], []
        for place in places:
            pair = subject.pairs[place]
            assert pair.target is not None
            view, target = (picture.pixels() / 65535 for picture in (pair.views[0], pair.target))
            psnr.append(peak_signal_noise_ratio(target, view, data_range=1))
            ssim.append(structural_similarity(target, view, data_range=1, channel_axis=2))
        assert scores.means(group)["psnr"] == pytest.approx(np.mean(psnr), abs=1e-5)
        assert scores.means(group)["ssim"] == pytest.approx(np.mean(ssim), abs=1e-6)


def test_a_picture_of_another_depth_is_named_and_the_rest_scored(tmp_path: Path) -> None:
    publishers.dpdd(tmp_path)
    path = sorted((tmp_path / "dd_dp_dataset_canon" / "test_r" / "source").iterdir())[1]
    write_photo(Photo(pixels=(read_photo(path).pixels // 256).astype(np.uint8)), path)
    subject = of_benchmark("dpdd", tmp_path, note=None)
    assert subject.protocol is not None
    scores = run(
        FIRST_VIEW, subject.pairs, subject.protocol, data=subject.data, depth=subject.depth
    )
    assert len(scores.pairs) == 2
    (fault,) = scores.faults
    assert f"{path}: holds uint8 values, and this benchmark is published with 16 bits" in fault.why


def test_every_benchmark_has_a_task() -> None:
    assert {name: task_of(name) for name in BENCHMARKS} == {
        "dpdd": "dual-pixel-deblurring",
        "sidd": "denoising",
        "dnd": "denoising",
        "realsr-x2": "super-resolution",
        "realsr-x3": "super-resolution",
        "realsr-x4": "super-resolution",
        "lol": "low-light",
        "fivek": "retouching",
    }


@pytest.mark.parametrize(
    ("count", "whole", "said"),
    [
        (15, [15], ""),
        (14, [15], "a part: the whole benchmark has 15 pairs"),
        (100, [30], "other pairs than the paper's, which are 30"),
        (5, [], ""),
    ],
)
def test_pairs_that_are_not_the_papers_are_remarked(
    count: int, whole: list[int], said: str
) -> None:
    """RealSR has 30 pairs of a scale in the paper's version, and more in a later one."""
    assert remark(count, whole) == said


def test_what_was_not_packed_of_a_benchmark_is_told(tmp_path: Path) -> None:
    data = publishers.lol(tmp_path / "data")
    (data / "eval15" / "low" / "1.png").write_bytes(b"no picture")
    pack(find_pairs(data, "lol", "test"), tmp_path / "packed", dataset="lol", split="test")
    subject = of_benchmark("lol", tmp_path / "packed", note=None)
    assert [pair.id for pair in subject.pairs] == ["7"]
    assert list(subject.unreadable) == ["1"]
