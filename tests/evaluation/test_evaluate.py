import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet.data.packing import pack
from mirnet.data.picture import digest
from mirnet.data.sources import find_pairs
from mirnet.errors import DataError
from mirnet.evaluation.evaluate import evaluate_folder, load_pair
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference.restorer import Restorer
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import random_pixels


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs whose inputs differ from their targets by 1 and by 4 levels everywhere."""
    for name, difference in (("near", 1), ("far", 4)):
        target = random_pixels((32, 40, 3)) // 2 + 20
        for part, pixels in (("target", target), ("input", target + difference)):
            (tmp_path / part).mkdir(exist_ok=True)
            write_photo(Photo(pixels=pixels.astype(np.uint8)), tmp_path / part / f"{name}.png")
    return tmp_path


def unchanged(views: Tensor) -> Tensor:
    return views


def test_each_pair_is_scored_and_averaged(pairs: Path) -> None:
    scores = evaluate_folder(unchanged, pairs, "photo")
    assert list(scores.images) == ["far", "near"]
    assert scores.protocol == "photo"
    near, far = 20 * np.log10(255 / 1), 20 * np.log10(255 / 4)
    assert scores.images["near"]["psnr"] == pytest.approx(near, abs=1e-9)
    assert scores.images["far"]["psnr"] == pytest.approx(far, abs=1e-9)
    assert scores.means()["psnr"] == pytest.approx((near + far) / 2, abs=1e-9)
    assert 0 < scores.means()["ssim"] < 1


def test_the_restorer_gets_the_views_and_its_output_counts(pairs: Path) -> None:
    seen = []

    def perfect(views: Tensor) -> Tensor:
        seen.append(views)
        return views - (4 if len(seen) == 1 else 1) / 255

    scores = evaluate_folder(perfect, pairs, "photo")
    assert [tuple(views.shape) for views in seen] == [(1, 3, 32, 40)] * 2
    assert all(views.dtype == torch.float32 for views in seen)
    assert [row["psnr"] for row in scores.images.values()] == [np.inf, np.inf]


def test_scores_name_the_data_by_its_checksum(pairs: Path) -> None:
    content = hashlib.sha256()
    for name in ("far", "near"):
        for part in ("input", "target"):
            content.update(digest(read_photo(pairs / part / f"{name}.png").pixels).encode())
    before = evaluate_folder(unchanged, pairs, "photo").data_sha256
    assert before == content.hexdigest()
    pack(find_pairs(pairs), pairs, dataset="pairs", split="test")
    assert evaluate_folder(unchanged, pairs, "photo").data_sha256 == before
    shutil.rmtree(pairs / "test")
    write_photo(Photo(pixels=random_pixels((32, 40, 3))), pairs / "input" / "near.png")
    assert evaluate_folder(unchanged, pairs, "photo").data_sha256 != before


def test_two_views_are_stacked(pairs: Path) -> None:
    (pairs / "input").rename(pairs / "inputL")
    (pairs / "inputR").mkdir()
    for path in (pairs / "inputL").iterdir():
        (pairs / "inputR" / path.name).write_bytes(path.read_bytes())
    views, target = load_pair(find_pairs(pairs)[0])
    assert views.shape == (1, 6, 32, 40)
    assert target.shape == (1, 3, 32, 40)


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no folder target/"):
        evaluate_folder(unchanged, tmp_path, "photo")


def test_a_picture_that_can_t_be_scored_is_named(tmp_path: Path) -> None:
    for part in ("input", "target"):
        (tmp_path / part).mkdir()
        write_photo(Photo(pixels=np.zeros((8, 30, 3), np.uint8)), tmp_path / part / "a.png")
    with pytest.raises(
        DataError, match=r"target.a\.png: can't be restored or scored as photo: .* smaller than"
    ):
        evaluate_folder(unchanged, tmp_path, "photo")


def test_a_network_of_other_views_is_named(pairs: Path) -> None:
    config = MIRNetV2Config(in_channels=6, residual="features", width=8, groups=(1,), blocks=1)
    restorer = Restorer(MIRNetV2(config), device="cpu")
    with pytest.raises(DataError, match=r"png: can't be restored .* takes \(N, 6, H, W\)"):
        evaluate_folder(restorer, pairs, "photo")
