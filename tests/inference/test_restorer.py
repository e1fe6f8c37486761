import logging
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mirnet.checkpoints.expected import EXPECTED, Expected, expected_for
from mirnet.errors import (
    ConfigError,
    DeviceError,
    InsufficientMemoryError,
    NonFiniteError,
    PhotoError,
    UnknownWeightsError,
)
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.metadata import Metadata
from mirnet.imaging.photo import Photo
from mirnet.imaging.resize import enlarged
from mirnet.inference import fit
from mirnet.inference.devices import choose_device, choose_dtype
from mirnet.inference.files import FileSteps
from mirnet.inference.jobs import Job
from mirnet.inference.restorer import Restorer
from mirnet.inference.running import Runner
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import TINY, random_pixels

SHAPES = [(1, 1, 3), (3, 5, 3), (4, 8, 3), (4097, 3, 3), (7, 9, 1), (7, 9)]


@pytest.fixture(scope="module")
def restorer(tiny_model: MIRNetV2) -> Restorer:
    return Restorer(tiny_model, device="cpu")


class Offset(MIRNetV2):
    """Adds a number to the picture; not a number in half precision, if told."""

    def __init__(self, value: float, *, overflows: tuple[torch.dtype, ...] = ()) -> None:
        super().__init__(TINY)
        self.value, self.overflows = value, overflows

    def forward(self, image: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") in self.overflows:
            return image * float("nan")
        if torch.float32 in self.overflows:
            return image * float("inf")
        return image + self.value


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_arrays_come_back_in_their_shape_and_type(
    restorer: Restorer, shape: tuple[int, ...], dtype: Any
) -> None:
    image = random_pixels(shape, dtype)
    before = image.copy()
    restored = restorer(image)
    assert restored.shape == shape
    assert restored.dtype == dtype
    assert np.array_equal(image, before)
    assert not np.array_equal(restored, image)


def test_an_array_gets_what_the_network_gives(restorer: Restorer) -> None:
    image = random_pixels((8, 12, 3))
    planes = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None]
    with torch.inference_mode():
        expected = restorer.model(planes)[0].clamp(0, 1).numpy().transpose(1, 2, 0) * 255
    assert np.abs(restorer(image) - expected).max() <= 0.501


def test_a_batch_is_restored_as_its_images_are(restorer: Restorer) -> None:
    images = torch.rand(3, 3, 10, 7)
    batch = restorer(images)
    assert batch.shape == images.shape
    single = torch.cat([restorer(image[None]) for image in images])
    assert torch.allclose(batch, single, atol=1e-6)


def test_half_tensors_come_back_as_such(restorer: Restorer) -> None:
    assert restorer(torch.rand(1, 3, 4, 4, dtype=torch.float16)).dtype == torch.float16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_of_other_floats_are_enlarged_and_come_back_as_such(
    restorer: Restorer, dtype: torch.dtype
) -> None:
    image = torch.rand(1, 3, 9, 14).to(dtype)
    restored = restorer(image, enlarge=2)
    assert (restored.dtype, restored.shape) == (dtype, (1, 3, 18, 28))
    assert torch.equal(restored, restorer(image.float(), enlarge=2).to(dtype))


@pytest.mark.parametrize("options", [{}, {"strength": 0.5}, {"detail": 0.5}, {"enlarge": 2}])
def test_a_result_has_no_gradient(restorer: Restorer, options: Any) -> None:
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    assert not restorer(image, **options).requires_grad


def test_the_same_again_gives_the_same(restorer: Restorer) -> None:
    image = random_pixels((33, 21, 3))
    assert np.array_equal(restorer(image), restorer(image))


def test_grey_is_restored_as_three_equal_planes(restorer: Restorer) -> None:
    grey = random_pixels((8, 8, 1), np.float32)
    rgb = restorer(np.repeat(grey, 3, axis=2))
    assert restorer(grey)[:, :, 0] == pytest.approx(rgb.mean(axis=2), abs=1e-6)


def test_strength_blends_with_the_input() -> None:
    restorer = Restorer(Offset(0.2), device="cpu")
    image = np.full((4, 4, 3), 0.5, np.float32)
    for strength, expected in [(0.0, 0.5), (0.25, 0.55), (1.0, 0.7)]:
        assert restorer(image, strength=strength) == pytest.approx(expected, abs=1e-6)


def test_no_strength_gives_the_input_bit_by_bit(restorer: Restorer) -> None:
    image = random_pixels((13, 6, 3), np.uint16)
    assert np.array_equal(restorer(image, strength=0), image)


def test_strength_blends_with_what_can_be_seen() -> None:
    """An output beyond white is white before it is blended."""
    restorer = Restorer(Offset(2.0), device="cpu")
    assert restorer(np.full((4, 4, 3), 0.5, np.float32), strength=0.5) == pytest.approx(0.75)


@pytest.mark.parametrize("shape", [(13, 6), (13, 6, 3)])
def test_no_strength_gives_floats_back_bit_by_bit(
    restorer: Restorer, shape: tuple[int, ...]
) -> None:
    image = np.random.default_rng(0).random(shape, np.float32)
    assert np.array_equal(restorer(image, strength=0), image)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_strength_out_of_range_is_refused(restorer: Restorer, strength: float) -> None:
    with pytest.raises(ValueError, match="strength"):
        restorer(random_pixels((4, 4, 3)), strength=strength)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.int32),
        np.zeros(4, np.uint8),
        torch.zeros(3, 4, 4),
        torch.zeros(1, 4, 4, 4),
        torch.zeros(1, 6, 4, 4),
        torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
    ],
)
def test_what_is_no_image_is_refused(restorer: Restorer, image: Any) -> None:
    with pytest.raises(ValueError, match=r"image|batch|pixels|takes"):
        restorer(image)


def test_dual_pixel_networks_take_tensors_of_six_channels() -> None:
    config = MIRNetV2Config(in_channels=6, residual="features", width=8, groups=(1,), blocks=1)
    restorer = Restorer(MIRNetV2(config), device="cpu")
    assert restorer(torch.rand(1, 6, 5, 5)).shape == (1, 3, 5, 5)
    with pytest.raises(ValueError, match="takes 6 channels"):
        restorer(random_pixels((4, 4, 3)))


def test_pictures_of_another_number_or_size_are_refused(restorer: Restorer) -> None:
    config = MIRNetV2Config(in_channels=6, residual="features", width=8, groups=(1,), blocks=1)
    two = Restorer(MIRNetV2(config), device="cpu")
    one, other = (Photo(pixels=random_pixels((4, n, 3))) for n in (4, 5))
    with pytest.raises(ValueError, match="takes 3 channels, not the 0 of 0 pictures"):
        restorer.restore_photo()
    with pytest.raises(ValueError, match="takes 3 channels, not the 6 of 2 pictures"):
        restorer.restore_photo(one, one)
    with pytest.raises(ValueError, match="takes 6 channels, not the 3 of 1 picture in RGB"):
        two.restore_photo(one)
    with pytest.raises(ValueError, match="one size, got 4×4 and 5×4"):
        two.restore_photo(one, other)


def test_channels_that_can_t_be_blended_are_refused_before_any_work() -> None:
    config = MIRNetV2Config(out_channels=5, residual="features", width=8, groups=(1,), blocks=1)
    restorer = Restorer(MIRNetV2(config), device="cpu")
    assert restorer(torch.rand(1, 3, 4, 4)).shape == (1, 5, 4, 4)
    with pytest.raises(ValueError, match="more channels than it could blend"):
        restorer(torch.rand(1, 3, 4, 4), strength=0.5)
    with pytest.raises(ValueError, match="gives 5 channels, not 3"):
        restorer(random_pixels((4, 4, 3)))


def test_what_overflows_in_half_precision_is_redone_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    restorer = Restorer(
        Offset(0.25, overflows=(torch.bfloat16,)), device="cpu", precision="bfloat16"
    )
    with caplog.at_level(logging.WARNING, logger="mirnet"):
        restored = restorer(np.full((5, 7, 3), 0.5, np.float32))
    assert restored.shape == (5, 7, 3)
    assert restored == pytest.approx(0.75)
    assert "redone in float32" in caplog.text


def test_what_overflows_in_float32_is_refused() -> None:
    restorer = Restorer(Offset(0, overflows=(torch.float32,)), device="cpu")
    with pytest.raises(NonFiniteError, match="not finite"):
        restorer(random_pixels((4, 4, 3)))


def test_half_precision_is_close_to_float32(tiny_model: MIRNetV2) -> None:
    image = random_pixels((32, 32, 3))
    exact = Restorer(tiny_model, device="cpu")(image)
    half = Restorer(tiny_model, device="cpu", precision="bfloat16")(image)
    assert np.abs(exact.astype(int) - half).mean() < 1


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_auto_is_float32_but_for_8_bits_on_a_gpu_that_has_bfloat16(
    monkeypatch: pytest.MonkeyPatch, has_bfloat16: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7 + has_bfloat16, 5))
    monkeypatch.setattr(torch.version, "hip", None)
    for kind in ("cpu", "cuda", "mps"):
        low = torch.bfloat16 if kind == "cuda" and has_bfloat16 else torch.float32
        device = torch.device(kind)
        assert choose_dtype("auto", device) == torch.float32
        assert choose_dtype("auto", device, for_8_bits=True) == low
        assert choose_dtype("float32", device, for_8_bits=True) == torch.float32


@pytest.mark.parametrize(
    ("task", "goes_low"),
    [("denoising", 1), ("super-resolution", 1), ("low-light", 0), ("retouching", 0), (None, 0)],
)
def test_on_a_gpu_weights_whose_bfloat16_would_show_stay_in_float32(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, task: str | None, goes_low: bool
) -> None:
    def as_on_a_gpu(precision: str, device: Any, *, for_8_bits: bool = False) -> torch.dtype:
        return torch.bfloat16 if for_8_bits else torch.float32

    monkeypatch.setattr("mirnet.inference.restorer.choose_dtype", as_on_a_gpu)
    restorer = Restorer(tiny_model, device="cpu", expected=expected_for(task))
    assert (restorer._runner.dtype_for_8_bits == torch.bfloat16) == goes_low


def test_only_what_has_8_bits_and_keeps_them_goes_as_that() -> None:
    """As on a GPU with bfloat16: photos of 16 bits, floats and tensors stay in float32."""
    seen = []

    class Asked(Offset):
        def forward(self, image: Tensor) -> Tensor:
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().forward(image)

    restorer = Restorer(Asked(0.1), device="cpu")
    restorer._runner.dtype_for_8_bits = torch.bfloat16
    eight = np.full((4, 4, 3), 100, np.uint8)
    restorer(eight)
    restorer.restore_photo(Photo(pixels=eight))
    restorer.restore_photo(Photo(pixels=eight), depth="16")
    restorer.restore_photo(Photo(pixels=eight.astype(np.uint16)), depth="8")
    restorer(eight.astype(np.uint16))
    restorer(np.full((4, 4, 3), 0.5, np.float32))
    restorer(torch.full((1, 3, 4, 4), 0.5))
    assert seen == [True, True, False, False, False, False, False]


def test_the_model_is_copied(tiny_model: MIRNetV2) -> None:
    assert Restorer(tiny_model, device="cpu").model is not tiny_model


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownWeightsError, match=r"nothing: neither .* denoising-small"):
        Restorer.from_pretrained("nothing")


@pytest.mark.parametrize(("depth", "dtype"), [("keep", np.uint8), ("16", np.uint16)])
def test_depth_is_kept_unless_told(restorer: Restorer, depth: Any, dtype: Any) -> None:
    alpha = random_pixels((5, 6))
    photo = Photo(pixels=random_pixels((5, 6, 3)), alpha=alpha)
    restored = restorer.restore_photo(photo, depth=depth)
    assert restored.pixels.dtype == dtype
    assert restored.alpha is not None
    scale = 257 if dtype == np.uint16 else 1
    assert np.array_equal(restored.alpha, alpha.astype(dtype) * scale)


def test_16_bit_results_are_not_rounded_to_8_bits_on_the_way(restorer: Restorer) -> None:
    restored = restorer.restore_photo(Photo(pixels=random_pixels((16, 16, 3))), depth="16")
    assert len(np.unique(restored.pixels)) > 256


@pytest.mark.parametrize("quality", [1, 100])
def test_every_quality_is_taken(
    restorer: Restorer, make_photo: Callable[..., Path], tmp_path: Path, quality: int
) -> None:
    restorer.restore_file(make_photo(), tmp_path / "out.jpg", quality=quality)
    assert read_photo(tmp_path / "out.jpg").header.width == 14


def test_files_come_back_the_same_each_time(
    restorer: Restorer, make_photo: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_photo()
    for name in ("a.png", "b.png"):
        restorer.restore_file(source, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.array_equal(
        read_photo(tmp_path / "a.png").pixels, restorer(read_photo(source).pixels)
    )


def test_the_input_is_never_overwritten(
    restorer: Restorer, make_photo: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_photo()
    before = source.read_bytes()
    (tmp_path / "link.png").symlink_to(source)
    for target in (source, tmp_path / "link.png"):
        with pytest.raises(PhotoError, match="is the input itself"):
            restorer.restore_file(source, target)
    assert source.read_bytes() == before


def test_what_can_t_be_written_is_refused_before_any_work(
    restorer: Restorer, make_photo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_photo(dtype=np.uint16)
    monkeypatch.setattr(Runner, "__call__", lambda *_, **__: pytest.fail("work was done"))
    with pytest.raises(PhotoError, match=r"can't hold 16-bit"):
        restorer.restore_file(source, source.with_suffix(".jpg"))
    with pytest.raises(PhotoError, match="does not exist"):
        restorer.restore_file(source, source.parent / "nowhere" / "out.png")


def test_a_photo_that_will_not_fit_is_refused_before_it_is_decoded(
    restorer: Restorer, make_photo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_photo()
    monkeypatch.setattr(fit, "available_memory", lambda device: 1000)
    monkeypatch.setattr(
        "mirnet.inference.files.read_photo", lambda path: pytest.fail("was decoded")
    )
    with pytest.raises(InsufficientMemoryError, match=rf"^{source}: 14×9 needs at least"):
        restorer.restore_file(source, source.with_suffix(".tif"))


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "tpu", "cpu:1", ""])
def test_a_device_that_is_not_there_is_refused_with_what_is(
    tiny_model: MIRNetV2, device: Any
) -> None:
    if choose_device("auto").type != "cpu":
        pytest.skip("this machine has another device")
    with pytest.raises(DeviceError, match=r"is not there; choose auto, cpu$"):
        Restorer(tiny_model, device=device)


def test_an_unknown_precision_is_refused_with_the_known(tiny_model: MIRNetV2) -> None:
    unknown: Any = "float8"
    with pytest.raises(ConfigError, match="one of auto, float32, bfloat16, float16"):
        Restorer(tiny_model, device="cpu", precision=unknown)


@pytest.mark.parametrize("memory", ["2GiB", float("nan"), 0])
def test_what_is_no_number_of_bytes_is_refused(tiny_model: MIRNetV2, memory: Any) -> None:
    with pytest.raises(ValueError, match=f"memory: is a number of bytes above 0, got {memory!r}"):
        Restorer(tiny_model, memory=memory)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": "95"}, "quality is from 1 to 100, a whole number, got '95'"),
        ({"quality": 9.5}, "quality is from 1 to 100, a whole number, got 9.5"),
        ({"chroma_only": "no"}, "chroma_only is True or False, got 'no'"),
    ],
)
def test_options_of_another_type_are_refused(
    restorer: Restorer, make_photo: Callable[..., Path], options: Any, message: str
) -> None:
    source = make_photo()
    with pytest.raises(ValueError, match=message):
        restorer.restore_file(source, source.with_suffix(".jpg"), **options)


def test_an_unknown_depth_is_refused_before_any_work(
    restorer: Restorer, make_photo: Callable[..., Path], tmp_path: Path
) -> None:
    unknown: Any = "12"
    with pytest.raises(ValueError, match="depth is one of keep, 8, 16, float"):
        restorer.restore_file(make_photo(), tmp_path / "out.png", depth=unknown)
    with pytest.raises(ValueError, match="quality is from 1 to 100"):
        restorer.restore_file(tmp_path / "not read", tmp_path / "out.png", quality=500)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("image", [[[1, 2], [3, 4]], "photo.png", None])
def test_what_is_no_kind_of_image_is_refused(restorer: Restorer, image: Any) -> None:
    with pytest.raises(TypeError, match="a NumPy array, a tensor or a PIL image, not a"):
        restorer(image)


@pytest.mark.parametrize("high", [255.0, 65535.0, 1.2, np.nan, np.inf])
def test_floats_on_another_scale_are_refused(restorer: Restorer, high: float) -> None:
    image = np.full((4, 4, 3), 0.5, np.float32)
    image[1, 2, 0] = high
    with pytest.raises(ValueError, match=r"floats must be in \[0, 1\]"):
        restorer(image)
    with pytest.raises(ValueError, match=r"floats must be in \[0, 1\]"):
        restorer(torch.from_numpy(image.transpose(2, 0, 1))[None])
    image[1, 2, 0] = 1.05  # resampling overshoots
    assert restorer(image, strength=0)[1, 2, 0] == 1


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "LA", "RGBA"])
def test_pil_images_come_back_in_their_mode(restorer: Restorer, mode: str) -> None:
    pil = pytest.importorskip("PIL.Image")
    bands = {"L": 1, "RGB": 3, "I;16": 1, "LA": 2, "RGBA": 4}[mode]
    pixels = random_pixels((9, 7, bands), np.uint16 if mode == "I;16" else np.uint8)
    image = pil.fromarray(pixels.squeeze())
    assert image.mode == mode
    restored = restorer(image)
    assert (restored.mode, restored.size) == (mode, (7, 9))
    colours = pixels[:, :, : 3 if bands > 2 else 1]
    assert np.array_equal(
        np.asarray(restored).reshape(9, 7, bands)[:, :, : colours.shape[2]], restorer(colours)
    )
    image.info["icc_profile"] = b"a profile"
    assert restorer(image).info["icc_profile"] == b"a profile"
    if mode.endswith("A"):
        assert np.array_equal(np.asarray(restored)[:, :, -1], pixels[:, :, -1])
    with pytest.raises(ValueError, match=r"convert\('RGB'\) first"):
        restorer(image.convert("HSV") if mode == "RGB" else pil.new("P", (3, 3)))


def test_a_restorer_can_be_pickled_and_called_from_threads(restorer: Restorer) -> None:
    images = [random_pixels((17, 11, 3), seed=i) for i in range(8)]
    expected = [restorer(image) for image in images]
    copy = pickle.loads(pickle.dumps(restorer))  # noqa: S301 (our own)
    with ThreadPoolExecutor(4) as pool:
        for restored, image in zip(pool.map(copy, images), expected, strict=True):
            assert np.array_equal(restored, image)


@pytest.mark.parametrize("residual", ["image", "features"])
def test_in_half_precision_the_output_has_the_levels_of_float32(residual: Any) -> None:
    config = MIRNetV2Config(width=8, groups=(1,), blocks=1, residual=residual)
    torch.manual_seed(0)
    runner = Runner(MIRNetV2(config), torch.device("cpu"), torch.bfloat16, None)
    output = runner(torch.rand(1, 3, 16, 16), where="image")
    assert output.dtype == torch.float32
    assert (output != output.bfloat16().float()).float().mean() > 0.9


def test_the_second_try_in_float32_is_refused_if_it_will_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restorer = Restorer(
        Offset(0.25, overflows=(torch.bfloat16,)), device="cpu", precision="bfloat16"
    )
    asked: list[torch.dtype] = []

    def choose(*_: Any, dtype: torch.dtype, where: str, **__: Any) -> list[fit.Fit]:
        asked.append(dtype)
        if dtype == torch.float32:
            raise InsufficientMemoryError(where)
        return [fit.Fit("nowhere", None, 1)]

    monkeypatch.setattr("mirnet.inference.running.choose_fit", choose)
    with pytest.raises(InsufficientMemoryError, match="second try in float32"):
        restorer(np.full((4, 4, 3), 0.5, np.float32))
    assert asked == [torch.bfloat16, torch.float32]


def test_notes_say_what_a_file_lost(restorer: Restorer, tmp_path: Path) -> None:
    photo = Photo(pixels=random_pixels((8, 9, 3)), metadata=Metadata(texts=(("Title", "x"),)))
    write_photo(photo, tmp_path / "a.png")
    assert restorer.restore_file(tmp_path / "a.png", tmp_path / "b.png") == ()
    notes = restorer.restore_file(tmp_path / "a.png", tmp_path / "b.jpg")
    assert notes == ("the text Title can't be held by JPEG; left out",)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_precision_that_was_asked_for_is_used(precision: Any) -> None:
    class Asked(Offset):
        seen: torch.dtype | None = None

        def forward(self, image: Tensor) -> Tensor:
            mixed = torch.is_autocast_enabled("cpu")
            Asked.seen = torch.get_autocast_dtype("cpu") if mixed else torch.float32
            return super().forward(image)

    restorer = Restorer(Asked(0.1), device="cpu", precision=precision)
    restorer(np.full((4, 4, 3), 0.5, np.float32))
    assert Asked.seen == getattr(torch, precision)


@pytest.mark.parametrize("enlarge", [2, 3, 4])
def test_an_enlarged_image_is_what_its_enlargement_becomes(
    restorer: Restorer, enlarge: int
) -> None:
    small = torch.rand(2, 3, 9, 14)
    larger = enlarged(small, enlarge)
    assert torch.equal(restorer(small, enlarge=enlarge), restorer(larger))
    pixels = random_pixels((9, 14), np.uint16)
    restored = restorer(pixels, enlarge=enlarge)
    assert restored.shape == (9 * enlarge, 14 * enlarge)
    assert restored.dtype == np.uint16


def test_a_file_is_enlarged_with_its_alpha_and_metadata(restorer: Restorer, tmp_path: Path) -> None:
    alpha = random_pixels((9, 14), seed=1)
    before = Photo(pixels=random_pixels((9, 14, 3)), alpha=alpha)
    write_photo(before, tmp_path / "a.png")
    restorer.restore_file(tmp_path / "a.png", tmp_path / "b.png", enlarge=2)
    after = read_photo(tmp_path / "b.png")
    assert after.pixels.shape == (18, 28, 3)
    assert after.alpha is not None
    assert np.array_equal(after.pixels, restorer(before.pixels, enlarge=2))
    image = Image.fromarray(np.dstack([before.pixels, alpha]))
    restored = restorer(image, enlarge=2)
    assert (restored.size, restored.mode) == ((28, 18), "RGBA")


@pytest.mark.parametrize(
    ("dtype", "depth", "fitting"),
    [(np.uint8, "keep", 1), (np.uint8, "8", 1), (np.uint8, "16", 0), (np.uint16, "keep", 0)],
)
def test_a_photo_that_goes_in_bfloat16_is_planned_so_before_it_is_decoded(
    tiny_model: MIRNetV2,
    make_photo: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    dtype: Any,
    depth: Any,
    fitting: bool,
) -> None:
    source = make_photo(dtype=dtype)
    restorer = Restorer(tiny_model, device="cpu")
    restorer._runner.dtype_for_8_bits = torch.bfloat16

    def choose(*_: Any, dtype: torch.dtype, **__: Any) -> list[fit.Fit]:
        if dtype == torch.float32:
            raise InsufficientMemoryError("too large")
        return [fit.Fit("nowhere", None, 1)]

    monkeypatch.setattr("mirnet.inference.running.choose_fit", choose)
    read = Photo(pixels=random_pixels((4, 4, 3)))
    monkeypatch.setattr("mirnet.inference.files.read_photo", lambda *_, **__: read)
    job, steps = Job(source, source.with_suffix(".tif")), FileSteps(restorer, depth=depth)
    if fitting:
        assert steps.read(job) == (read,)
    else:
        with pytest.raises(InsufficientMemoryError, match="too large"):
            steps.read(job)


def test_memory_is_asked_for_the_enlarged_photo(
    restorer: Restorer, make_photo: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "available_memory", lambda device: 1000)
    source = make_photo()
    with pytest.raises(InsufficientMemoryError, match=rf"^{source}: 42×27 needs at least"):
        restorer.restore_file(source, source.with_suffix(".tif"), enlarge=3)


@pytest.mark.parametrize("enlarge", [0, 5, -1, 1.5])
def test_an_enlargement_out_of_range_is_refused(restorer: Restorer, enlarge: Any) -> None:
    with pytest.raises(ValueError, match="enlarge is a whole number from 1 to 4"):
        restorer(random_pixels((8, 8, 3)), enlarge=enlarge)


def test_what_is_unusual_about_an_array_is_logged_before_the_network_runs(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Expected(brightest=0.25, shift=0.05)
    restorer = Restorer(Offset(0.2), device="cpu", expected=expected)
    ran: list[int] = []
    run = Runner.__call__

    def counted(self: Runner, *given: Any, **options: Any) -> Tensor:
        ran.append(len(caplog.records))
        return run(self, *given, **options)

    monkeypatch.setattr(Runner, "__call__", counted)
    pixels = (random_pixels((40, 60)) // 4 + 96).astype(np.uint8)
    with caplog.at_level(logging.WARNING, logger="mirnet"):
        for image in (pixels, Image.fromarray(pixels)):
            restorer(image)
    bright, shifted = caplog.messages[:2]
    assert bright.startswith("image: is bright already (mean 0.50")
    assert shifted.startswith("image: came out in other colours (mean +0.20)")
    assert caplog.messages[2:] == [bright, shifted]
    assert ran == [1, 3]


def test_tensors_are_not_looked_at(restorer: Restorer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="mirnet"):
        restorer(torch.zeros(1, 3, 8, 8))
    assert not caplog.records


def test_named_weights_bring_what_is_usual_for_their_task(
    tiny_model: MIRNetV2, tiny_weights: Path
) -> None:
    assert Restorer.from_pretrained(tiny_weights).expected == EXPECTED["denoising"]
    assert Restorer(tiny_model).expected == Expected()


def test_what_is_unusual_about_a_file_is_returned(tiny_model: MIRNetV2, tmp_path: Path) -> None:
    restorer = Restorer(tiny_model, device="cpu", expected=Expected(brightest=0.25))
    write_photo(Photo(pixels=random_pixels((40, 60, 3))), tmp_path / "a.png")
    (told,) = restorer.restore_file(tmp_path / "a.png", tmp_path / "b.png")
    assert told.startswith("is bright already (mean 0.50")
