from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet.data.sources import find_pairs
from mirnet.errors import DataError
from mirnet.evaluation.evaluate import Result, _load, _Loaded, evaluate, load_pair, score_pairs
from mirnet.evaluation.method import Method, by_pictures
from mirnet.evaluation.scores import Fault, mean
from mirnet.imaging.io import write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.restorer import Restorer
from mirnet.metrics.protocol import PROTOCOLS
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import random_pixels
from tests.evaluation.conftest import put_pair

PHOTO = PROTOCOLS["photo"]


def unchanged(views: Tensor) -> Tensor:
    return views


UNCHANGED = Method(name="unchanged", identity={}, restore=lambda _, views: views)


def test_each_pair_is_scored_and_averaged(pairs: Path) -> None:
    scores = evaluate(unchanged, find_pairs(pairs), PHOTO)
    assert [score.id for score in scores] == ["far", "near"]
    far, near = 20 * np.log10(255 / 4), 20 * np.log10(255 / 1)
    assert [score.scores["psnr"] for score in scores] == pytest.approx([far, near], abs=1e-9)
    assert [score.input["psnr"] for score in scores] == pytest.approx([far, near], abs=1e-9)
    assert mean(score.scores for score in scores)["psnr"] == pytest.approx((near + far) / 2)


def test_the_restorer_gets_the_views_and_its_output_counts(pairs: Path) -> None:
    seen = []

    def perfect(views: Tensor) -> Tensor:
        seen.append(views)
        return views - (4 if len(seen) == 1 else 1) / 255

    scores = evaluate(perfect, find_pairs(pairs), PHOTO)
    assert [tuple(views.shape) for views in seen] == [(1, 3, 32, 40)] * 2
    assert all(views.dtype == torch.float32 for views in seen)
    assert [score.scores["psnr"] for score in scores] == [np.inf, np.inf]
    assert all(score.input["psnr"] < 50 for score in scores)


def test_pictures_wait_as_their_files_have_them(pairs: Path) -> None:
    loaded = _load(find_pairs(pairs)[0], None)
    assert isinstance(loaded, _Loaded)
    assert {pixels.dtype.name for pixels in loaded.pictures} == {"uint8"}


def test_scores_do_not_depend_on_the_number_of_workers(
    tmp_path: Path, tiny_model: MIRNetV2
) -> None:
    """Also where pictures of several sizes follow each other, and some can't be read."""
    sizes = [(32, 40), (32, 40), (36, 44), (36, 44), (32, 40), (32, 40), (32, 40)]
    for number, size in enumerate(sizes):
        put_pair(tmp_path, f"{number}", random_pixels((*size, 3), seed=number), 5)
    (tmp_path / "input" / "4.png").write_bytes(b"no picture")
    restorer = Restorer(tiny_model, device="cpu")
    method = Method(name="tiny", identity={}, restore=lambda _, views: restorer(views))

    def scored(workers: int) -> tuple[list[str], list[float], list[str]]:
        results = list(score_pairs(method, find_pairs(tmp_path), PHOTO, workers=workers))
        good = [each.score for each in results if isinstance(each, Result)]
        return (
            [score.id for score in good],
            [value for score in good for value in score.scores.values()],
            [each.id for each in results if isinstance(each, Fault)],
        )

    names, values, faults = scored(1)
    assert names == ["0", "1", "2", "3", "5", "6"]
    assert faults == ["4"]
    for workers in (2, 5):
        assert scored(workers) == (names, values, faults)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:60]), r"near\.png"),
        (lambda path: path.unlink(), r"near\.png"),
        (
            lambda path: write_photo(Photo(pixels=np.zeros((30, 40, 3), np.uint8)), path),
            r"near\.png: is 40×30, its target .*near\.png is 40×32; .* the same size",
        ),
    ],
)
def test_a_bad_pair_is_named_and_the_rest_scored(pairs: Path, spoil: object, why: str) -> None:
    found = find_pairs(pairs)
    spoil(pairs / "input" / "near.png")  # type: ignore[operator]
    results = list(score_pairs(UNCHANGED, found, PHOTO))
    assert [type(each) for each in results] == [Result, Fault]
    fault = results[1]
    assert isinstance(fault, Fault)
    assert fault.id == "near"
    assert "\n" not in fault.why
    with pytest.raises(DataError, match=why):
        evaluate(unchanged, found, PHOTO)


def test_a_picture_with_nan_is_named(tmp_path: Path, tiny_model: MIRNetV2) -> None:
    clean = np.full((32, 32, 3), 0.5, np.float32)
    spoilt = clean.copy()
    spoilt[3, 4] = np.nan
    for part, pixels in (("target", clean), ("input", spoilt)):
        (tmp_path / part).mkdir()
        write_photo(Photo(pixels=pixels), tmp_path / part / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif.*(NaN|nan)"):
        evaluate(Restorer(tiny_model, device="cpu"), find_pairs(tmp_path), PHOTO)


def test_two_views_are_stacked(pairs: Path) -> None:
    (pairs / "input").rename(pairs / "inputL")
    (pairs / "inputR").mkdir()
    for path in (pairs / "inputL").iterdir():
        (pairs / "inputR" / path.name).write_bytes(path.read_bytes())
    views, target = load_pair(find_pairs(pairs)[0])
    assert views.shape == (1, 6, 32, 40)
    assert target.shape == (1, 3, 32, 40)


def test_a_picture_that_can_t_be_scored_is_named(tmp_path: Path) -> None:
    put_pair(tmp_path, "a", np.zeros((8, 30, 3), np.uint8), 0)
    with pytest.raises(
        DataError, match=r"target.a\.png: can't be restored or scored as photo: .* smaller than"
    ):
        evaluate(unchanged, find_pairs(tmp_path), PHOTO)


def test_a_network_of_other_views_is_named(pairs: Path) -> None:
    config = MIRNetV2Config(in_channels=6, residual="features", width=8, groups=(1,), blocks=1)
    restorer = Restorer(MIRNetV2(config), device="cpu")
    with pytest.raises(DataError, match=r"png: can't be restored .* takes \(N, 6, H, W\)"):
        evaluate(restorer, find_pairs(pairs), PHOTO)


def test_pictures_of_any_program_are_scored(pairs: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    found = find_pairs(pairs)
    near = next(pair for pair in found if pair.id == "near")
    assert near.target is not None
    write_photo(Photo(pixels=near.target.pixels()), theirs / "near.png")
    near_score, far_fault = sorted(
        score_pairs(by_pictures(theirs), found, PHOTO), key=lambda each: isinstance(each, Fault)
    )
    assert isinstance(near_score, Result)
    assert near_score.score.scores["psnr"] == np.inf
    assert isinstance(far_fault, Fault)
    assert "has no picture far (its first is near.png); restore that one too" in far_fault.why
    write_photo(Photo(pixels=np.zeros((8, 8, 3), np.uint8)), theirs / "far.png")
    with pytest.raises(DataError, match=r"far\.png: is 8×8, its pair is 40×32"):
        by_pictures(theirs).restore(found[0], torch.zeros(1, 3, 32, 40))


def test_a_broken_picture_of_a_program_is_the_one_that_is_named(
    pairs: Path, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (pair,) = (pair for pair in find_pairs(pairs) if pair.id == "far")
    content = Path(pair.views[0].place).read_bytes()
    (theirs / "far.png").write_bytes(content[: len(content) // 2])
    (fault,) = score_pairs(by_pictures(theirs), [pair], PHOTO)
    assert isinstance(fault, Fault)
    assert fault.why.startswith(f"{theirs / 'far.png'}: truncated or damaged")
