"""Run what was exported, and see how far it is from torch."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mirnet.choices import ExportFormat
from mirnet.errors import MissingDependencyError
from mirnet.export.formats import INPUT
from mirnet.inference.backends.onnxruntime import silence
from mirnet.inference.padding import crop, pad
from mirnet.models.network import Network

SIZES = ((1, 64, 64), (2, 37, 50), (1, 8, 129), (3, 9, 11), (1, 150, 203))
"""Batch, height and width of the pictures that are run; most sides are no multiple of 4."""
TOLERANCE = 1e-5
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""``(N, C, H, W)`` in [0, 1] → the restored pictures."""


@dataclass(frozen=True, slots=True)
class Check:
    """One size, and the largest difference to torch in a value; infinite if one is no number."""

    batch: int
    height: int
    width: int
    error: float


def verify(path: Path, kind: ExportFormat, network: Network) -> list[Check]:
    """Run an exported file at five sizes, beside the network in torch.

    Raises MissingDependencyError if the runtime of that format is not installed.
    """
    run = runner(path, kind)
    multiple = network.config.multiple
    random = np.random.default_rng(0)
    checks = []
    for batch, height, width in SIZES:
        size = (batch, network.config.in_channels, height, width)
        picture = random.random(size, dtype=np.float32)
        with torch.no_grad():
            restored = network(pad(torch.from_numpy(picture), multiple))
        expected = crop(restored, height, width).clamp(0, 1).numpy()
        result = run(picture)
        same = result.shape == expected.shape
        error = float(np.abs(result - expected).max()) if same else math.inf
        # NaN is neither above a tolerance nor below it.
        checks.append(Check(batch, height, width, math.inf if math.isnan(error) else error))
    return checks


def runner(path: Path, kind: ExportFormat) -> Run:
    """A function that runs an exported file in float32 on the CPU."""
    try:
        if kind == "torch-export":
            return _torch_export(path)
        return _openvino(path) if kind == "openvino" else _onnx(path, kind)
    except ImportError as error:
        raise MissingDependencyError(
            f'to verify {path} {error.name} is needed; pip install "mirnet[export]"'
        ) from error


def _torch_export(path: Path) -> Run:
    program = torch.export.load(path).module()

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            result: NDArray[np.float32] = program(torch.from_numpy(picture)).numpy()
        return result

    return run


def _onnx(path: Path, kind: ExportFormat) -> Run:
    silence()
    import onnxruntime  # noqa: PLC0415

    content = path.read_bytes()
    if kind == "darktable":
        with zipfile.ZipFile(path) as package:
            inside = next(each for each in package.namelist() if each.endswith("/model.onnx"))
            content = package.read(inside)
    session: Any = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = session.run(None, {INPUT: picture})[0]
        return result

    return run


def _openvino(path: Path) -> Run:
    import openvino  # noqa: PLC0415

    # It computes in lower precision where the processor can, unless told.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled: Any = openvino.Core().compile_model(path, "CPU", exact)

    def run(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = compiled(picture)[0]
        return result

    return run
