import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet.inference.backends import graph, openvino
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.pytorch import PyTorch
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.inference.backends.test_candidates import network
from tests.models.test_mirnet_v2 import tiny

ov: Any = pytest.importorskip("openvino")
ops: Any = ov.opset13
openvino_graph: Any = pytest.importorskip("mirnet.inference.backends.openvino_graph")


def test_graphs_of_few_shapes_are_kept() -> None:
    backend = OpenVINO(network())
    for size in range(1, openvino.KEPT + 3):
        backend(torch.rand(1, 3, 4 * size, 8), torch.float32)
    assert len(backend._graphs) == openvino.KEPT


def test_two_views_take_more_memory_than_one() -> None:
    said = [OpenVINO(network(in_channels=n, residual="features")).memory(100) for n in (3, 6)]
    assert said == [100, 115]


def test_a_signal_after_graphs_have_gone_is_an_interrupt_still() -> None:
    script = """
import gc, os, signal, torch
from mirnet.inference.backends import openvino
from tests.inference.backends.test_candidates import network
backend = openvino.OpenVINO(network())
for size in range(1, openvino.KEPT + 3):
    backend(torch.rand(1, 3, 4 * size, 8), torch.float32)
openvino.OpenVINO.arithmetics(), openvino.OpenVINO.setting()
del backend
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    command = [sys.executable, "-X", "faulthandler", "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_a_signal_ends_a_run() -> None:
    """A run in OpenVINO takes a minute for a large photo, and Python sees no signal meanwhile."""
    said = []

    class Running:
        def start_async(self, inputs: Any, share_inputs: bool) -> None:
            said.append("start")

        def wait_for(self, milliseconds: int) -> bool:
            raise KeyboardInterrupt

        def cancel(self) -> None:
            said.append("cancel")

        def wait(self) -> None:
            raise RuntimeError("Infer Request was canceled")

    with pytest.raises(KeyboardInterrupt):
        openvino._answer(Running(), torch.rand(1, 3, 4, 4))
    assert said == ["start", "cancel"]


class Graph:
    """A graph that notices who runs it and whether its memory was given back."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.running = self.most = self.released = 0
        self.array = np.ones((1, 3, 4, 4), np.float32)

    def create_infer_request(self) -> "Graph":
        return self

    def start_async(self, inputs: Any, share_inputs: bool) -> None:
        self.running += 1
        self.most = max(self.most, self.running)

    def wait_for(self, milliseconds: int) -> bool:
        time.sleep(0.02)
        if self.error:
            raise self.error
        return True

    def cancel(self) -> None:
        pass

    def wait(self) -> None:
        pass

    def get_output_tensor(self) -> "Graph":
        return self

    @property
    def data(self) -> Any:
        return self.array

    def release_memory(self) -> None:
        self.running -= 1
        self.released += 1


@pytest.mark.parametrize("error", [None, RuntimeError("bad_alloc")])
def test_one_picture_has_memory_at_a_time_and_gives_it_back(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    backend, used = OpenVINO(network()), Graph(error)
    monkeypatch.setattr(backend, "_graph", lambda *_: used)

    def run(_: int) -> None:
        with suppress(RuntimeError):
            backend(torch.zeros(1, 3, 4, 4), torch.float32)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, range(3)))
    assert (used.most, used.released, used.running) == (1, 3, 0)


def test_a_result_is_no_part_of_the_graphs_memory() -> None:
    used = Graph()
    result = openvino._answer(used, torch.zeros(1, 3, 4, 4))
    used.array[:] = 7
    assert bool((result == 1).all())


def test_it_takes_as_many_threads_as_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Core:
        def compile_model(self, model: Any, device: str, options: dict[str, Any]) -> Graph:
            asked.append(options["INFERENCE_NUM_THREADS"])
            return Graph()

    backend = OpenVINO(network())
    monkeypatch.setattr(openvino, "_core", Core)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    backend._graph((1, 3, 8, 8), torch.float32)
    assert asked == [3]


def test_a_sum_over_millions_of_numbers_keeps_its_digits() -> None:
    values = np.random.default_rng(0).random((1, 1, 3000, 4000), dtype=np.float32)
    parameter = ops.parameter(list(values.shape), np.float32)
    drawn = graph._sum(parameter, openvino_graph.OpenVINOOperations())
    model = ov.Model([drawn], [parameter], "sum")
    kind = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    total = float(ov.Core().compile_model(model, "CPU", kind)(values)[0].item())
    assert total == pytest.approx(values.sum(dtype=np.float64), rel=3e-6)


def test_what_a_network_leaves_in_half_precision_is_given_as_float32() -> None:
    class Half(MIRNetV2):
        def forward(self, image: Tensor) -> Tensor:
            return image.bfloat16()

    outputs = PyTorch(Half(tiny()).eval())(torch.rand(1, 3, 8, 8), torch.bfloat16)
    assert outputs.dtype == torch.float32
