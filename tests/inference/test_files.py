"""Photos through the shipped denoiser, from file to file, as a photographer sees them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import torch

from mirnet.errors import PhotoError
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.imaging.quantize import from_planes, to_planes
from mirnet.inference import fit
from mirnet.inference.files import FileSteps
from mirnet.inference.jobs import Job
from mirnet.inference.restorer import Restorer
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import random_pixels


@pytest.fixture(scope="module")
def restorer() -> Restorer:
    return Restorer.from_pretrained("denoising", device="cpu")


def test_a_deep_wide_gamut_photo_comes_back_upright_once_with_its_profile(
    restorer: Restorer, tmp_path: Path
) -> None:
    source, target = tmp_path / "photo.png", tmp_path / "restored.png"
    icc = display_p3()
    stored = random_pixels((20, 34, 3), np.uint16)
    image = pyvips.Image.new_from_array(stored).copy(interpretation="rgb16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Make", "Acme")
    image.pngsave(str(source), bitdepth=16)
    assert pyvips.Image.new_from_file(str(source)).get("orientation") == 6
    before = source.read_bytes()

    restorer.restore_file(source, target)

    restored = pyvips.Image.new_from_file(str(target))
    assert (restored.width, restored.height, restored.bands) == (20, 34, 3)
    assert restored.format == "ushort"
    assert restored.get("icc-profile-data") == icc
    assert restored.get("exif-ifd0-Make").startswith("Acme")
    assert "orientation" not in restored.get_fields() or restored.get("orientation") == 1
    # The numbers went through the network as they stand, without a change of colour space.
    upright = np.rot90(stored, -1)
    assert np.array_equal(restored.numpy(), restorer(np.ascontiguousarray(upright)))
    assert source.read_bytes() == before


KINDS: dict[str, tuple[tuple[int, ...], type, bool]] = {
    "grey": ((9, 7, 1), np.uint8, False),
    "deep grey": ((9, 7, 1), np.uint16, False),
    "grey with alpha": ((9, 7, 1), np.uint8, True),
    "RGBA": ((9, 7, 3), np.uint8, True),
    "deep RGBA": ((9, 7, 3), np.uint16, True),
    "1×1": ((1, 1, 3), np.uint8, False),
    "3×5": ((5, 3, 3), np.uint8, False),
    "4097×3": ((3, 4097, 3), np.uint8, False),
}


@pytest.mark.parametrize(("shape", "dtype", "has_alpha"), KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_photos_come_back_in_their_size_and_kind_and_each_time_alike(
    restorer: Restorer,
    tmp_path: Path,
    suffix: str,
    shape: tuple[int, ...],
    dtype: type,
    has_alpha: bool,
) -> None:
    alpha = random_pixels(shape[:2], dtype, seed=1) if has_alpha else None
    photo = Photo(pixels=random_pixels(shape, dtype), alpha=alpha)
    source = tmp_path / f"photo{suffix}"
    write_photo(photo, source)
    targets = [tmp_path / f"restored-{number}{suffix}" for number in (1, 2)]
    for target in targets:
        restorer.restore_file(source, target)
    restored = read_photo(targets[0])
    assert restored.header == photo.header
    assert not np.array_equal(restored.pixels, photo.pixels)
    assert (restored.alpha is None) == (alpha is None)
    if restored.alpha is not None and alpha is not None:
        assert np.array_equal(restored.alpha, alpha)
    assert targets[0].read_bytes() == targets[1].read_bytes()


def display_p3() -> bytes:
    """The profile that libvips brings along."""
    black = pyvips.Image.black(2, 2, bands=3).copy(interpretation="srgb")
    return bytes(black.icc_transform("p3").get("icc-profile-data"))


def test_only_a_photo_that_is_small_beside_what_is_left_is_read_ahead(
    tiny_model: MIRNetV2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "photo.png"
    write_photo(Photo(pixels=random_pixels((40, 50, 3))), source)
    monkeypatch.setattr(fit, "resident_memory", lambda _: 1 << 30)
    for room, is_read in ((40 * 50 * 3 * 32, True), (40 * 50 * 3 * 32 - 32, False)):
        restorer = Restorer(tiny_model, device="cpu", memory=(1 << 30) + room)
        ahead = FileSteps(restorer).read_ahead(Job(source, tmp_path / "out.png"))
        assert (ahead is not None) == is_read


def write_pages(path: Path, pages: list[Any]) -> None:
    grey = pages[0].shape[2] == 1
    kind = ("b-w", "grey16") if grey else ("srgb", "rgb16")
    image = pyvips.Image.new_from_array(np.concatenate(pages))
    image = image.copy(interpretation=kind[pages[0].dtype == np.uint16])
    image.tiffsave(str(path), page_height=len(pages[0]))


@pytest.fixture
def two_views() -> Restorer:
    torch.manual_seed(3)
    config = MIRNetV2Config(in_channels=6, residual="features", width=8, groups=(1,), blocks=1)
    return Restorer(MIRNetV2(config), device="cpu")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_two_views_go_in_together_from_two_files_or_from_one(
    two_views: Restorer, tmp_path: Path, channels: int, dtype: type
) -> None:
    views = [random_pixels((9, 14, channels), dtype, seed=seed) for seed in (1, 2)]
    together = torch.cat([torch.from_numpy(to_planes(view)) for view in views])[None]
    expected = from_planes(two_views(together)[0].numpy(), channels=channels, dtype=dtype)
    left, right = tmp_path / "left.tif", tmp_path / "right.tif"
    for path, view in zip((left, right), views, strict=True):
        write_photo(Photo(pixels=view), path)
    both = tmp_path / "both.tif"
    write_pages(both, views)
    two_views.restore_file(left, tmp_path / "a.tif", right=right)
    two_views.restore_file(both, tmp_path / "b.tif")
    for name in ("a.tif", "b.tif"):
        assert np.array_equal(read_photo(tmp_path / name).pixels, expected)
    assert not np.array_equal(read_photo(tmp_path / "a.tif").pixels, views[0])


def test_views_that_don_t_belong_together_are_refused_before_they_are_decoded(
    two_views: Restorer, restorer: Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right, other = (tmp_path / name for name in ("l.png", "r.png", "o.png"))
    for path, shape in ((left, (9, 14, 3)), (right, (9, 14, 3)), (other, (9, 15, 1))):
        write_photo(Photo(pixels=random_pixels(shape)), path)
    three = tmp_path / "three.tif"
    write_pages(three, [random_pixels((9, 14, 3))] * 3)
    monkeypatch.delattr("mirnet.inference.files.read_photo")
    out = tmp_path / "out.png"
    with pytest.raises(PhotoError, match="14×9, 8-bit RGB, and its right view is 15×9, 8-bit grey"):
        two_views.restore_file(left, out, right=other)
    with pytest.raises(PhotoError, match=r"l\.png: is one picture, and not the two views"):
        two_views.restore_file(left, out)
    with pytest.raises(PhotoError, match="holds several pages"):
        two_views.restore_file(three, out)
    with pytest.raises(PhotoError, match="is a second view, and these weights take one"):
        restorer.restore_file(left, out, right=right)
    with pytest.raises(PhotoError, match="is the input itself"):
        two_views.restore_file(left, right, right=right)


def test_notes_of_both_views_and_doubts_before_and_after_are_told(
    two_views: Restorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def before(views: Any, _: Any) -> tuple[str, ...]:
        seen.extend(views)
        return ("doubts_before",)

    def restored_of(*views: Photo, **_: Any) -> Photo:
        assert len(seen) == 2  # both were looked at before the network runs
        return views[0]

    monkeypatch.setattr("mirnet.inference.files.doubts_before", before)
    monkeypatch.setattr("mirnet.inference.files.doubts_after", lambda *_: ("doubts_after",))
    monkeypatch.setattr(two_views, "restore_photo", restored_of)
    left, right = (
        Photo(pixels=random_pixels((9, 14, 3)), notes=("of both", f"of the {side}"))
        for side in ("left", "right")
    )
    restored = FileSteps(two_views).restore((left, right), Job(Path("l.png"), Path("o.png")))
    said = ("of both", "of the left", "of the right", "doubts_before", "doubts_after")
    assert restored.notes == said


def test_both_views_count_in_what_is_read_ahead(
    two_views: Restorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = tmp_path / "l.png", tmp_path / "r.png"
    for path in (left, right):
        write_photo(Photo(pixels=random_pixels((40, 50, 3))), path)
    for room, is_read in ((2 * 40 * 50 * 3 * 32, True), (2 * 40 * 50 * 3 * 32 - 32, False)):
        monkeypatch.setattr(Restorer, "room", room)
        ahead = FileSteps(two_views).read_ahead(Job(left, tmp_path / "out.png", right))
        assert (ahead is not None) == is_read
