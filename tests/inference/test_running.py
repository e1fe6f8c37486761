import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet.errors import InsufficientMemoryError, NonFiniteError
from mirnet.inference import fit
from mirnet.inference.backends import choosing
from mirnet.inference.backends.backend import Choice
from mirnet.inference.backends.choosing import Runtimes, Wanted
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.trial import Trial
from mirnet.inference.memory import LiveBytes, estimate_memory
from mirnet.inference.restorer import Restorer
from mirnet.inference.running import Runner, _is_finite
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.conftest import TINY

CPU = torch.device("cpu")


class OutOfMemory(MIRNetV2):
    """Asks for more memory than there is."""

    words = ""

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[2] > 20:
            raise RuntimeError(self.words)
        return super().forward(image)


@pytest.mark.parametrize(
    "words",
    [
        "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory",
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: "
        "you tried to allocate 120000000000 bytes. Error code 12 (Cannot allocate memory)",
        "Exception from src/core/src/runtime/allocator.cpp:79:\nstd::bad_alloc\n",
        "Check 'ptr' failed at cpu_memory.cpp:257:\nFailed to allocate 740294656 bytes of memory",
        "bad allocation",
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "MPS backend out of memory (MPS allocated: 8.00 GiB, other allocations: 96 KiB, max "
        "allowed: 9.07 GiB). Tried to allocate 2.00 GiB on private pool.",
    ],
    ids=[
        "PyTorch",
        "PyTorch on Linux",
        "OpenVINO's tensors",
        "OpenVINO's graph",
        "Windows",
        "CUDA",
        "cuDNN",
        "Apple's GPUs",
    ],
)
def test_a_picture_that_ran_out_of_memory_goes_in_tiles_with_a_word(
    caplog: pytest.LogCaptureFixture, words: str
) -> None:
    torch.manual_seed(0)
    model = OutOfMemory(TINY)
    model.words = words
    image = torch.rand(2, 3, 30, 41)
    restored = Runner(model, CPU, torch.float32, None)(image, where="a.png")
    with torch.no_grad():
        expected = MIRNetV2.forward(
            model.eval(), torch.nn.functional.pad(image, (0, 3, 0, 2), "reflect")
        )
    assert (restored - expected[..., :30, :41]).abs().max() <= 2e-5
    assert "a.png: ran out of memory in one piece" in caplog.text
    assert "goes on in tiles of" in caplog.text


def test_a_host_without_memory_beside_a_gpu_leaves_the_scratch_file(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = [fit.Fit("host", (64, 64), 100, host=50), fit.Fit("scratch", (64, 64), 100, scratch=40)]
    monkeypatch.setattr("mirnet.inference.running.choose_fit", lambda *_, **__: ways)
    seen = []

    class Full(Runner):
        def _run(self, images: Tensor, wanted: Wanted, way: fit.Fit, progress: Any) -> Any:
            seen.append(way)
            if way.rests == "host":
                raise MemoryError
            return images, torch.float32

    Full(tiny_model, CPU, torch.float32, None)(torch.rand(1, 3, 20, 20), where="a.png")
    assert seen == ways


def test_memory_that_runs_out_in_the_sample_leaves_the_next_way(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tiled = [way for way in fit.fits(TINY, 400, 400, device=CPU) if way.tile]
    ways = [tiled[0], replace(tiled[0], tile=(64, 64)), tiled[-1]]
    assert ways[-1].memory < ways[0].memory
    monkeypatch.setattr("mirnet.inference.running.choose_fit", lambda *_, **__: ways)
    monkeypatch.setattr("mirnet.inference.running.SAMPLE", (4, 4))
    caplog.set_level(logging.INFO, "mirnet")

    class Short(Runner):
        def _seconds_per_pixel(self, way: fit.Fit, wanted: Wanted) -> float:
            if way in ways[:failing]:
                raise MemoryError
            return 1.0

    failing = 1

    restored = Short(tiny_model, CPU, torch.float32, None)(torch.rand(1, 3, 20, 20), where="a.png")
    assert restored.shape == (1, 3, 20, 20)
    assert f"ran out of memory {ways[0]}; goes on {ways[-1]}" in caplog.text, "what takes less"
    failing = 3
    with pytest.raises(InsufficientMemoryError, match=r"^a\.png: ran out of memory .* takes less"):
        Short(tiny_model, CPU, torch.float32, None)(torch.rand(1, 3, 20, 20), where="a.png")


def test_what_is_said_of_a_batch_is_of_all_its_images(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mirnet")
    way = next(way for way in fit.fits(TINY, 40, 40, device=CPU) if way.tile)
    monkeypatch.setattr("mirnet.inference.running.choose_fit", lambda *_, **__: [way])
    monkeypatch.setattr("mirnet.inference.running.SAMPLE", (4, 4))
    monkeypatch.setattr(Runner, "_seconds_per_pixel", lambda *_: 1.0)
    runner = Runner(tiny_model, CPU, torch.float32, None)
    runner(torch.rand(3, 3, 20, 30), where="a")
    assert "a: 3 of 30×20 go in tiles" in caplog.text
    assert "; about 30 min\n" in caplog.text  # 3 × 600 pixels, a second each


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_of_other_floats_go_in_tiles_too(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    image = torch.rand(1, 3, 21, 30).to(dtype)
    expected = Restorer(tiny_model, device="cpu")(image.float())
    way = next(way for way in fit.fits(TINY, 40, 40, device=CPU) if way.tile)
    monkeypatch.setattr("mirnet.inference.running.choose_fit", lambda *_, **__: [way])
    restored = Restorer(tiny_model, device="cpu")(image)
    assert restored.dtype == dtype
    assert (restored.float() - expected).abs().max() <= 1e-2
    with pytest.raises(ValueError, match=r"takes \(N, 3, H, W\), got \(1, 4, 8, 8\)"):
        Restorer(tiny_model, device="cpu")(torch.rand(1, 4, 8, 8))


def test_the_look_at_the_output_takes_next_to_nothing() -> None:
    outputs = torch.rand(1, 3, 2000, 40)
    with LiveBytes() as live:
        assert _is_finite(outputs)
    assert live.peak <= 1.1 * outputs.nbytes  # their own storage counts with the first view
    outputs[0, 2, 1999, 39] = float("nan")
    assert not _is_finite(outputs)


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    class Broken(MIRNetV2):
        def forward(self, image: Tensor) -> Tensor:
            raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Runner(Broken(TINY), CPU, torch.float32, None)(torch.rand(1, 3, 8, 8), where="a.png")


def test_a_limit_makes_tiles_and_the_same_picture(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mirnet")
    pixels = np.random.default_rng(0).integers(0, 256, (370, 390, 3), np.uint8)
    expected = Restorer(tiny_model, device="cpu")(pixels)
    assert "tiles" not in caplog.text
    monkeypatch.setattr(fit, "resident_memory", lambda _: 1000)
    least = min(way.memory for way in fit.fits(TINY, 370, 390, device=CPU)) + 1000
    restorer = Restorer(tiny_model, device="cpu", memory=least)
    assert np.abs(restorer(pixels).astype(int) - expected).max() <= 1
    assert "image: 390×370 goes in tiles of" in caplog.text
    assert "whole: " in caplog.text


@pytest.mark.parametrize("memory", [0, -5])
def test_a_limit_is_above_zero(tiny_model: MIRNetV2, memory: Any) -> None:
    with pytest.raises(ValueError, match="memory: is a number of bytes above 0"):
        Restorer(tiny_model, memory=memory)


def test_a_large_picture_goes_through_the_runtime_that_is_faster(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    seen = []

    class Noticed(OpenVINO):
        arithmetics = staticmethod(lambda: (torch.float32, torch.bfloat16))

        def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
            seen.append((tuple(images.shape), dtype))
            return super().__call__(images, torch.float32)

    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": Noticed})
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: Trial(2.0, 1e-6, 9.0, 65.0))
    eight = np.random.default_rng(0).integers(0, 256, (515, 1023, 3), np.uint8)
    for pixels in (eight, eight.astype(np.uint16) * 257, eight[:100]):
        restored = Restorer(tiny_model, device="cpu")(pixels)
        expected = Restorer(tiny_model, device="cpu", runtime="torch")(pixels)
        assert np.abs(restored.astype(int) - expected).max() <= 1
    Restorer(tiny_model, device="cpu", precision="float32")(eight)
    shape = (1, 3, 516, 1024)
    assert seen == [(shape, torch.bfloat16), (shape, torch.float32), (shape, torch.float32)]


def test_what_computes_is_said_once_and_in_tiles_too(
    tiny_model: MIRNetV2, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mirnet")
    runner = Runner(tiny_model, CPU, torch.float32, None)
    for _ in range(2):
        runner(torch.rand(1, 3, 8, 8), where="a.png")
    told = f"taken: {runner._runtimes._pytorch.name} in float32"
    assert [record.getMessage() for record in caplog.records] == [told]
    caplog.clear()
    tiled = [way for way in fit.fits(TINY, 400, 400, device=CPU) if way.tile]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("mirnet.inference.running.choose_fit", lambda *_, **__: tiled)
        Runner(tiny_model, CPU, torch.float32, None)(torch.rand(1, 3, 40, 40), where="a.png")
    assert told in caplog.text


def test_a_picture_that_fits_in_bfloat16_goes_in_one_piece(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")
    caplog.set_level(logging.INFO, "mirnet")

    class AsFloat32(OpenVINO):
        arithmetics = staticmethod(lambda: (torch.float32, torch.bfloat16))

        def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
            return super().__call__(images, torch.float32)

    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": AsFloat32})
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: Trial(2.0, 1e-6, 9.0, 65.0))
    monkeypatch.setattr(choosing, "is_emulated", lambda _: False)
    need = estimate_memory(tiny_model.config, 512, 1024, dtype=torch.bfloat16)
    monkeypatch.setattr(fit, "available_memory", lambda _: round(1.2 * need))
    pixels = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), np.uint8)
    Restorer(tiny_model, device="cpu")(pixels)
    assert "in tiles" not in caplog.text
    Restorer(tiny_model, device="cpu")(pixels.astype(np.uint16))
    assert "in tiles" in caplog.text


def test_what_has_no_room_for_the_fastest_goes_through_the_next(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mirnet")
    seen = []

    class Hungry(OpenVINO):
        def memory(self, estimate: int) -> int:
            return 3 * estimate

        def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
            seen.append(dtype)
            return images

    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": Hungry})
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: Trial(2.0, 1e-6))
    need = estimate_memory(tiny_model.config, 512, 1024)
    pixels = np.zeros((512, 1024, 3), np.uint16)
    for room, through in ((2, []), (4, [torch.float32])):
        monkeypatch.setattr(fit, "available_memory", lambda _, room=room: room * need)
        Restorer(tiny_model, device="cpu")(pixels)
        assert seen == through
    assert "in tiles" not in caplog.text


def test_a_runtime_that_fails_on_a_photo_gives_way_and_is_left_out(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")

    class Failing(OpenVINO):
        def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
            raise RuntimeError("an assertion of its own,\non two lines")

    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": Failing})
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: Trial(2.0, 1e-6))
    pixels = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), np.uint8)
    restorer = Restorer(tiny_model, device="cpu")
    expected = Restorer(tiny_model, device="cpu", runtime="torch")(pixels)
    for _ in range(2):
        assert (restorer(pixels) == expected).all()
    failures = [each.getMessage() for each in caplog.records if "failed" in each.getMessage()]
    assert len(failures) == 1, "once, then it is left out"
    assert "float32 failed (an assertion of its own, on two lines); goes on " in failures[0]
    assert str(torch.__version__) in failures[0].partition("goes on")[2]

    with pytest.raises(RuntimeError, match="an assertion of its own"):
        Restorer(tiny_model, device="cpu", runtime="openvino")(pixels)


def test_a_runtime_that_gives_nothing_finite_gives_way(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")

    class Overflows(OpenVINO):
        def __call__(self, images: Tensor, dtype: torch.dtype) -> Tensor:
            return images * torch.nan

    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": Overflows})
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: Trial(2.0, 1e-6))
    pixels = np.random.default_rng(0).integers(0, 256, (512, 1024, 3), np.uint8)
    expected = Restorer(tiny_model, device="cpu", runtime="torch")(pixels)
    assert (Restorer(tiny_model, device="cpu")(pixels) == expected).all()
    assert "gives values that are not finite" in caplog.text
    with pytest.raises(NonFiniteError, match=r"OpenVINO .* not finite; take torch"):
        Restorer(tiny_model, device="cpu", runtime="openvino")(pixels)


def test_no_trial_takes_the_memory_that_tiles_need(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mirnet")
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: pytest.fail("a trial"))
    need = estimate_memory(tiny_model.config, 512, 1024)
    monkeypatch.setattr(fit, "available_memory", lambda _: need // 2)
    Restorer(tiny_model, device="cpu")(np.zeros((512, 1024, 3), np.uint16))
    assert "in tiles" in caplog.text


def test_a_runtime_that_takes_more_memory_is_planned_so(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("onnxruntime")
    caplog.set_level(logging.INFO, "mirnet")
    pixels = np.zeros((40, 64, 3), np.uint16)
    need = estimate_memory(tiny_model.config, 40, 64)
    monkeypatch.setattr(fit, "available_memory", lambda _: 2 * need)
    Restorer(tiny_model, device="cpu", runtime="torch")(pixels)
    assert "in tiles" not in caplog.text
    Restorer(tiny_model, device="cpu", runtime="onnxruntime")(pixels)
    assert "in tiles" in caplog.text


def lowered_for_8_bits(runtimes: Runtimes, pixels: int, wanted: Wanted) -> list[Choice]:
    dtype = torch.bfloat16 if wanted.for_8_bits else wanted.dtype
    return [Choice(runtimes._pytorch, dtype)]


def test_what_was_not_finite_in_float32_tiles_is_not_tried_again(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In one piece it would have gone in bfloat16; tiles are float32, and that is all there is."""
    seen = []

    class Broken(Runner):
        def _in_tiles(self, images: Tensor, dtype: torch.dtype, *_: Any) -> Tensor:
            seen.append(dtype)
            return torch.full_like(images, float("nan"))

    monkeypatch.setattr(Runtimes, "ranked", lowered_for_8_bits)
    need = estimate_memory(TINY, 400, 400, dtype=torch.bfloat16)
    monkeypatch.setattr(fit, "available_memory", lambda _: need - 1)
    runner = Broken(tiny_model, CPU, torch.float32, None)
    with pytest.raises(NonFiniteError):
        runner(torch.rand(1, 3, 400, 400), where="a.png", for_8_bits=True)
    assert seen == [torch.float32]
    assert "redone" not in caplog.text


def test_progress_of_a_batch_in_tiles_goes_from_its_first_image_to_its_last(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = next(way for way in fit.fits(TINY, 90, 90, batch=2, device=CPU) if way.tile)
    monkeypatch.setattr("mirnet.inference.running.choose_fit", lambda *_, **__: [way])
    told: list[tuple[int, int]] = []
    runner = Runner(tiny_model, CPU, torch.float32, None)
    runner(
        torch.rand(2, 3, 20, 20),
        where="a.png",
        progress=lambda done, total: told.append((done, total)),
    )
    sweeps = 1 + len(TINY.groups) * TINY.columns
    assert told == [(done, 2 * sweeps) for done in range(1, 2 * sweeps + 1)]


def test_what_a_runtime_lowered_by_itself_has_a_second_try(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The runner's arithmetic is float32; the picture went in bfloat16, since it has 8 bits."""

    class Overflows(MIRNetV2):
        def forward(self, image: Tensor) -> Tensor:
            return image * (float("nan") if torch.is_autocast_enabled("cpu") else 1)

    monkeypatch.setattr(Runtimes, "ranked", lowered_for_8_bits)
    image = torch.rand(1, 3, 8, 8)
    runner = Runner(Overflows(TINY), CPU, torch.float32, None)
    assert torch.equal(runner(image, where="a.png", for_8_bits=True), image)
    assert "redone in float32" in caplog.text


def test_what_comes_after_the_network_is_planned_for(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def choose(*_: Any, after: int, **__: Any) -> list[fit.Fit]:
        asked.append(after)
        return [fit.Fit("nowhere", None, 1)]

    monkeypatch.setattr("mirnet.inference.running.choose_fit", choose)
    Restorer(tiny_model, device="cpu")(np.zeros((4, 4, 3), np.uint8), detail=0.5)
    assert asked == [128]
