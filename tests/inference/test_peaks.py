"""Estimates of memory against what a process of its own was seen to hold."""

import subprocess
import sys

import pytest

from mirnet.inference import cost
from mirnet.inference.backends.onnxruntime import ONNXRuntime
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.pytorch import PyTorch

pytestmark = pytest.mark.skipif(
    not cost.RESET.exists(), reason="this system does not tell the peak"
)

TILES = """
import sys, torch
from mirnet.inference import running
from mirnet.inference.cost import memory
from mirnet.inference.fit import fits
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
cpu, (rests, height, width) = torch.device("cpu"), sys.argv[1:]
config = MIRNetV2Config.small().with_changes(groups=(1,))
(way,) = (
    way for way in fits(config, 320, 520, device=cpu)
    if way.rests == rests and way.tile == (int(height), int(width))
)
running.choose_fit = lambda *_, **__: [way]
runner = running.Runner(MIRNetV2(config), cpu, torch.float32, None)
image = torch.rand(1, 3, 320, 520)
before = memory(cpu, reset=True)
runner(image, where="a.png")
print(memory(cpu, reset=False) - before, way.memory)
"""
DETAIL = """
import torch
from mirnet.inference.cost import memory
from mirnet.inference.treatment import Treatment
cpu, treatment = torch.device("cpu"), Treatment(detail=0.5)
size = 2500  # beside which what the heap had left is little
inputs, outputs = torch.rand(1, 3, size, size), torch.rand(1, 3, size, size)
before = memory(cpu, reset=True)
treatment.after(inputs, outputs)
print(memory(cpu, reset=False) - before, size * size * treatment.bytes_per_pixel)
"""

WHOLE = """
import importlib, sys, torch
from mirnet.inference.cost import memory
from mirnet.inference.memory import estimate_memory
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
module, name = sys.argv[1].rsplit(".", 1)
cpu, size = torch.device("cpu"), int(sys.argv[2])
network = MIRNetV2(MIRNetV2Config.small().with_changes(groups=(1,))).eval()
backend = getattr(importlib.import_module(module), name)(network)
backend(torch.zeros(1, 3, 8, 8), torch.float32)
images = torch.rand(1, 3, size, size)
before = memory(cpu, reset=True)
backend(images, torch.float32)
said = backend.memory(estimate_memory(network.config, size, size))
print(memory(cpu, reset=False) - before, said)
"""


def seen(script: str, *arguments: str) -> tuple[int, int]:
    """The peak, and what was said of it."""
    command = [sys.executable, "-c", f"import torch; torch.set_num_threads(1)\n{script}"]
    done = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)
    peak, said = map(int, done.stdout.split())
    return peak, said


def test_tiles_with_features_in_memory_take_what_was_said() -> None:
    peak, said = seen(TILES, "device", "128", "512")
    assert 0.4 * said <= peak <= said


def test_tiles_with_features_in_a_scratch_file_hold_little_of_it() -> None:
    """The file itself has 90 MiB, of which a row of tiles is in memory at a time."""
    peak, said = seen(TILES, "scratch", "32", "64")
    assert peak <= said <= 110 << 20


@pytest.mark.parametrize("size", [256, 800])
@pytest.mark.parametrize(
    ("backend", "package", "least"),
    [(PyTorch, "torch", 0.3), (OpenVINO, "openvino", 0.3), (ONNXRuntime, "onnxruntime", 0.05)],
    ids=["torch", "openvino", "onnxruntime"],
)
def test_one_piece_takes_no_more_than_was_said(
    backend: type, package: str, least: float, size: int
) -> None:
    pytest.importorskip(package)
    peak, said = seen(WHOLE, f"{backend.__module__}.{backend.__name__}", str(size))
    assert least * said <= peak <= said


def test_detail_takes_what_was_said() -> None:
    peak, said = seen(DETAIL)
    assert 0.6 * said <= peak <= said
