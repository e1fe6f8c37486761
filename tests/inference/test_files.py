"""Photos through the shipped denoiser, from file to file, as a photographer sees them."""

from pathlib import Path

import numpy as np
import pytest
import pyvips

from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.inference import fit
from mirnet.inference.files import FileSteps
from mirnet.inference.restorer import Restorer
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
        ahead = FileSteps(restorer).read_ahead(source, tmp_path / "out.png")
        assert (ahead is not None) == is_read
