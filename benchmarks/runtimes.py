"""What each runtime takes for a picture on this CPU, beside PyTorch's plain float32.

    python benchmarks/runtimes.py --weights denoising --sizes 256 1024 --threads 2
    python benchmarks/runtimes.py --weights paper --sizes 256 1024

All of a size are run in turn, several times, and the best of each counts, so that a noisy machine
troubles none alone. ``plain`` is the network as PyTorch runs it untouched; the floor is its
arithmetic at the rate of this machine's matrix product.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mirnet.checkpoints.catalog import resolve
from mirnet.checkpoints.load import load_model
from mirnet.environment import versions
from mirnet.inference.backends.backend import is_there
from mirnet.inference.backends.compiled import Compiled
from mirnet.inference.backends.onnxruntime import ONNXRuntime
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.pytorch import PyTorch
from mirnet.models.complexity import complexity
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2

Run = Callable[[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="denoising", help='or "paper": its size, random')
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--whole-onnx", type=Path, help="also OpenVINO on this export")
    parser.add_argument("--compiled", action="store_true", help="also PyTorch's compiler")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = (
        MIRNetV2(MIRNetV2Config())
        if options.weights == "paper"
        else load_model(resolve(options.weights))
    ).eval()
    assert isinstance(network, MIRNetV2)
    rate = matrix_rate()
    print(f"{OpenVINO.setting()}, {options.threads} threads, {rate / 1e9:.0f} GFLOP/s")
    rows = []
    print("| size | runtime | seconds | times plain | of the matrix rate | differs by |")
    print("|---|---|---|---|---|---|")
    for size in options.sizes:
        flops = 2 * complexity(network.config, size, size).macs
        for row in compare(runs(network, options), size, options.rounds):
            row |= {"matrix_share": flops / row["seconds"] / rate}
            rows.append(row)
            print(
                f"| {size}×{size} | {row['runtime']} | {row['seconds']:.2f} "
                f"| {row['times_plain']:.2f} | {row['matrix_share']:.0%} | {row['error']:.0e} |"
            )
    if options.output:
        made = {
            "processor": OpenVINO.setting(),
            "threads": options.threads,
            "matrix_flops_per_s": rate,
            "weights": options.weights,
            "versions": versions() | {"openvino": OpenVINO(network).name},
            "rows": rows,
        }
        options.output.write_text(json.dumps(made, indent=2) + "\n", "utf-8")


def runs(network: MIRNetV2, options: argparse.Namespace) -> dict[str, Run]:
    """The ways to run a network in float32, and in bfloat16 where the processor has it."""
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    candidate = OpenVINO(network)
    found: dict[str, Run] = {
        "plain": lambda x: PyTorch(network)(x, torch.float32),
        "PyTorch, channels last": lambda x: PyTorch(last)(x, torch.float32),
        "OpenVINO": lambda x: candidate(x, torch.float32),
    }
    if is_there("onnxruntime"):
        other = ONNXRuntime(network)
        found["ONNX Runtime"] = lambda x: other(x, torch.float32)
    if torch.bfloat16 in OpenVINO.arithmetics():
        found["PyTorch, bfloat16"] = lambda x: PyTorch(last)(x, torch.bfloat16)
        found["OpenVINO, bfloat16"] = lambda x: candidate(x, torch.bfloat16)
    if options.compiled:
        high, low = Compiled(copy.deepcopy(last)), Compiled(copy.deepcopy(last))
        found["PyTorch, compiled"] = lambda x: high(x, torch.float32)
        if torch.bfloat16 in OpenVINO.arithmetics():
            found["PyTorch, compiled, bfloat16"] = lambda x: low(x, torch.bfloat16)
    if options.whole_onnx:
        found["OpenVINO, of our ONNX"] = _converted(options.whole_onnx, options.threads)
        found["ONNX Runtime, of our ONNX"] = _onnx_runtime(options.whole_onnx, options.threads)
    return found


def compare(found: dict[str, Run], size: int, rounds: int) -> list[dict[str, Any]]:
    """Run all in turn; the first round compiles and is not counted."""
    picture = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    outputs = {name: run(picture) for name, run in found.items()}
    times: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds):
        for name, run in found.items():
            start = time.perf_counter()
            run(picture)
            times[name].append(time.perf_counter() - start)
    plain = min(times["plain"])
    return [
        {
            "size": size,
            "runtime": name,
            "seconds": min(times[name]),
            "times_plain": plain / min(times[name]),
            "error": float((outputs[name].clamp(0, 1) - outputs["plain"].clamp(0, 1)).abs().max()),
        }
        for name in found
    ]


def matrix_rate(size: int = 2048) -> float:
    """Floating-point operations a second of a large matrix product, at its best."""
    left, right = torch.rand(size, size), torch.rand(size, size)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def _converted(path: Path, threads: int) -> Run:
    import openvino

    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    graph = openvino.compile_model(openvino.convert_model(path), "CPU", hints)
    return lambda picture: torch.from_numpy(graph([picture.numpy()])[0].copy())


def _onnx_runtime(path: Path, threads: int) -> Run:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    return lambda picture: torch.from_numpy(session.run(None, {"input": picture.numpy()})[0])


if __name__ == "__main__":
    main()
