from pathlib import Path

import pytest
import torch

from mirnet.errors import InsufficientMemoryError
from mirnet.inference import memory
from mirnet.inference.memory import RUNTIME, available_memory, bytes_per_pixel, estimate_memory
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2

SMALL = MIRNetV2Config.small()


def test_the_estimate_is_what_was_measured_for_the_small_network() -> None:
    # 1633×1225 took 1.66 GiB and 2828×2121 took 4.93 GiB (benchmarks/restore_photo.py).
    assert estimate_memory(SMALL, 1225, 1633) / 2**30 == pytest.approx(1.66, rel=0.05)
    assert estimate_memory(SMALL, 2121, 2828) / 2**30 == pytest.approx(4.93, rel=0.05)


def test_the_tiny_run_counts_every_live_tensor_of_a_network_that_can_be_counted_by_hand() -> None:
    # One stream, one column, no context: at most the input image, the shallow features, a block's
    # input, its first convolution and its second are alive.
    config = MIRNetV2Config(
        width=8, groups=(1,), blocks=1, streams=1, columns=1, block="resblock",
        final_fusion=False,
    )  # fmt: skip
    image, features = 3 * 4, 8 * 4
    peak = bytes_per_pixel(config, torch.float32)
    assert image + 3 * features <= peak <= image + 5 * features


def test_half_precision_needs_half_the_features() -> None:
    ratio = bytes_per_pixel(SMALL, torch.bfloat16) / bytes_per_pixel(SMALL, torch.float32)
    assert ratio == pytest.approx(0.5, abs=0.1)


def test_a_batch_needs_as_much_as_its_images() -> None:
    one = estimate_memory(SMALL, 100, 120) - RUNTIME
    assert estimate_memory(SMALL, 100, 120, batch=5) - RUNTIME == pytest.approx(5 * one)


def test_no_size_is_special() -> None:
    """The run on a tiny picture tells for all sizes."""
    for streams in (1, 2, 3):
        config = SMALL.with_changes(streams=streams)
        network = MIRNetV2(config)
        with torch.inference_mode(), memory._LiveBytes() as live:
            network(torch.zeros(1, 3, 128, 128))
        expected = live.peak / 128**2
        assert bytes_per_pixel(config, torch.float32) == pytest.approx(expected, rel=0.02)


def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert available_memory(torch.device("cpu")) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_memory(torch.device("cpu")) > 2_000_000


def test_what_does_not_fit_is_refused_with_a_size_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    free = estimate_memory(SMALL, 1000, 1000)
    monkeypatch.setattr(memory, "available_memory", lambda device: free)

    def require(side: int) -> None:
        memory.require_memory(
            SMALL, side, side, batch=1, dtype=torch.float32, device=torch.device("cpu"),
            where="big.png",
        )  # fmt: skip

    require(1000)
    with pytest.raises(InsufficientMemoryError, match=r"^big\.png: 2000×2000 needs .* parts") as e:
        require(2000)
    assert "\n" not in str(e.value)
    require(int(str(e.value).split("about ")[-1].split("×", maxsplit=1)[0]))
