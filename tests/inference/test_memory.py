import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mirnet import environment
from mirnet.inference import memory
from mirnet.inference.memory import (
    HEAP,
    RUNTIME,
    available_memory,
    bytes_per_pixel,
    estimate_memory,
    resident_memory,
)
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2

SMALL = MIRNetV2Config.small()


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


def test_an_estimate_leaves_the_random_numbers_alone() -> None:
    bytes_per_pixel.cache_clear()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    bytes_per_pixel(SMALL, torch.float32)
    assert torch.equal(torch.rand(2), expected)


def test_a_batch_needs_as_much_as_its_images() -> None:
    one, five = (estimate_memory(SMALL, 100, 120, batch=batch) - RUNTIME - HEAP for batch in (1, 5))
    assert five == pytest.approx(5 * one)


def test_no_size_is_special() -> None:
    """The run on a tiny picture tells for all sizes."""
    for streams in (1, 2, 3):
        config = SMALL.with_changes(streams=streams)
        network = MIRNetV2(config)
        with torch.inference_mode(), memory.LiveBytes() as live:
            network(torch.zeros(1, 3, 128, 128))
        expected = live.peak / 128**2
        assert bytes_per_pixel(config, torch.float32) == pytest.approx(expected, rel=0.02)


def group(folder: Path, most: str, used: int, cached: int, *, version: int = 2) -> None:
    """A control group's files, as Linux shows them; half of what is cached was read again."""
    folder.mkdir(parents=True, exist_ok=True)
    first = version == 1
    (folder / ("memory.limit_in_bytes" if first else "memory.max")).write_text(f"{most}\n")
    (folder / ("memory.usage_in_bytes" if first else "memory.current")).write_text(f"{used}\n")
    before = "total_" if first else ""
    half = f"{before}inactive_file {cached // 2}\n{before}active_file {cached // 2}\n"
    # In version 1, what has no "total_" is without the groups inside.
    within = "inactive_file 3\n" if first else ""
    (folder / "memory.stat").write_text(f"anon 5\n{within}{half}shmem 7\n")


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux tells")
def test_a_limit_of_the_address_space_counts() -> None:
    script = """
import resource, torch
from mirnet.inference.memory import available_memory
cpu = torch.device("cpu")
free = available_memory(cpu)
vms = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
_, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (vms + (300 << 20), hard))
print(free, available_memory(cpu))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    before, after = map(int, done.stdout.split())
    assert after <= 300 << 20
    assert after > 250 << 20 or before < 300 << 20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of /sys/fs/cgroup; this process is in the group /outer/middle/inner."""
    monkeypatch.setattr(environment, "_CGROUP", tmp_path)
    monkeypatch.setattr(environment, "_MEMBERSHIP", tmp_path / "membership")
    (tmp_path / "membership").write_text(
        "12:cpu:/x\n4:memory:/outer/middle/inner\n0::/outer/middle/inner\n"
    )
    return tmp_path


@pytest.mark.parametrize("version", [1, 2])
def test_the_tightest_limit_around_a_process_counts_and_cached_files_don_t(
    groups: Path, version: int
) -> None:
    root = groups / "memory" if version == 1 else groups
    free = available_memory(torch.device("cpu"))
    assert free > 10_000_000  # no group is there yet
    group(root / "outer/middle/inner", "9000000", 1_000_000, 0, version=version)
    assert available_memory(torch.device("cpu")) == 8_000_000
    group(root / "outer/middle", "max", 1_500_000, 0, version=version)
    assert available_memory(torch.device("cpu")) == 8_000_000
    group(root / "outer", "3000000", 2_500_000, 1_500_000, version=version)
    assert available_memory(torch.device("cpu")) == 2_000_000
    if version == 2:
        (root / "outer" / "memory.high").write_text("2500000\n")
        assert available_memory(torch.device("cpu")) == 1_500_000, "above it, all stands still"
        (root / "outer" / "memory.high").write_text("max\n")
    (root / "outer" / "memory.stat").unlink()
    assert available_memory(torch.device("cpu")) == 500_000, "of what nothing is known is taken"
    group(root / "outer", "3000000", 2_500_000, 1_500_000, version=version)
    group(root, "max", 0, 0, version=version)
    assert available_memory(torch.device("cpu")) == 2_000_000
    group(root / "outer/middle", "2600000", 1_600_000, 500_000, version=version)
    assert available_memory(torch.device("cpu")) == 1_500_000
    group(root / "outer", "100", 300, 0, version=version)
    assert available_memory(torch.device("cpu")) == 0


def test_what_the_kernel_can_give_back_is_not_taken(groups: Path) -> None:
    group(groups / "outer", "3000000", 2_500_000, 0)
    with (groups / "outer/memory.stat").open("a") as statistics:
        statistics.write("slab_reclaimable 400000\nslab_unreclaimable 90000\nslab 490000\n")
    assert available_memory(torch.device("cpu")) == 900_000


def test_what_pytorch_has_cached_on_a_gpu_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 5000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 900)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 200)
    assert available_memory(torch.device("cuda")) == 1700


def test_what_this_process_holds_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    before = resident_memory(torch.device("cpu"))
    assert before > 50 << 20  # PyTorch itself
    held = torch.ones(100 << 20, dtype=torch.uint8)
    assert resident_memory(torch.device("cpu")) - before > 80 << 20
    del held
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 200)
    assert resident_memory(torch.device("cuda")) == 200


def test_large_pages_are_asked_for_unless_the_user_has_said() -> None:
    """A photo takes half the time with them; PyTorch asks the environment."""
    script = "import mirnet.inference.memory, os; print(os.environ['THP_MEM_ALLOC_ENABLE'])"
    for told, expected in ((None, "1"), ("0", "0")):
        environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
        environment |= {"THP_MEM_ALLOC_ENABLE": told} if told else {}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        assert done.stdout.strip() == expected
