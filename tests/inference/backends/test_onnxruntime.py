import os
import site
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mirnet.inference.backends import graph, onnxruntime
from mirnet.inference.backends.onnxruntime import ONNXRuntime
from tests.inference.backends.test_candidates import network

TELEMETRY = "ORT_DISABLE_TELEMETRY"

ort: Any = pytest.importorskip("onnxruntime")
onnx_graph: Any = pytest.importorskip("mirnet.inference.backends.onnx_graph")


class Session:
    """A session that does what a test wants, and notices how it was run."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.running = self.most = 0
        self.options: Any = None

    def get_inputs(self) -> list[Any]:
        return ort.InferenceSession(onnx_graph.graph_of(network())).get_inputs()  # type: ignore[no-any-return]

    def run(self, names: None, inputs: dict[str, Any], options: Any) -> list[Any]:
        self.options = options
        self.running += 1
        self.most = max(self.most, self.running)
        time.sleep(0.02)
        self.running -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return [np.ones((1, 3, 4, 4), np.float32)]


def test_a_signal_ends_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run takes a minute for a large photo, and Python sees no signal within."""

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    session = Session(RuntimeError("Exiting due to terminate flag being set to true."))
    monkeypatch.setattr(onnxruntime, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        onnxruntime._answer(session, torch.zeros(1, 3, 4, 4))
    assert session.options.terminate


def run(session: Any) -> None:
    backend = ONNXRuntime(network())
    backend._session = lambda threads: session  # type: ignore[method-assign]
    backend(torch.zeros(1, 3, 4, 4), torch.float32)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ort.capi.onnxruntime_pybind11_state.RuntimeException("Failed to allocate memory"), None),
        (MemoryError("bad allocation"), MemoryError),
        (RuntimeError("as it is"), None),
    ],
)
def test_errors_are_those_of_python(error: Exception, kind: type[Exception] | None) -> None:
    with pytest.raises(kind or RuntimeError, match=str(error)):
        run(Session(error))


def test_an_error_while_a_session_is_made_is_one_of_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fails = ort.capi.onnxruntime_pybind11_state.Fail("std::bad_alloc")

    def session(*_: Any, **__: Any) -> None:
        raise fails

    monkeypatch.setattr(ort, "InferenceSession", session)
    with pytest.raises(RuntimeError, match=r"ONNX Runtime: .*std::bad_alloc"):
        ONNXRuntime(network())(torch.zeros(1, 3, 4, 4), torch.float32)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is asked")
def test_what_a_run_took_is_given_back() -> None:
    """Some of it was kept by the C library's heap, and the next photo seemed to have no room."""
    script = """
import psutil, torch
from mirnet.inference.backends.onnxruntime import ONNXRuntime
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
torch.set_num_threads(1)
backend = ONNXRuntime(MIRNetV2(MIRNetV2Config.small().with_changes(groups=(1,))).eval())
backend(torch.zeros(1, 3, 8, 8), torch.float32)
held = lambda: psutil.Process().memory_info().rss >> 20
before, images = held(), torch.rand(1, 3, 400, 400)
for _ in range(2):
    backend(images, torch.float32)
print(held() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) <= 60


def test_nothing_is_kept_for_its_makers(tmp_path: Path) -> None:
    """From 1.29 on it keeps a number of the device, and what it was used for, and sends them."""
    script = "from mirnet.inference.backends.onnxruntime import ONNXRuntime; ONNXRuntime.load()"
    around = {name: value for name, value in os.environ.items() if name not in ("CI", TELEMETRY)}
    around |= dict.fromkeys(("XDG_CACHE_HOME", "HOME", "TMPDIR"), str(tmp_path))
    around["PYTHONUSERBASE"] = site.getuserbase()
    subprocess.run([sys.executable, "-c", script], check=True, env=around)
    assert not list(tmp_path.rglob("*onnxruntime*"))


def test_one_picture_has_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, session = ONNXRuntime(network()), Session()
    monkeypatch.setattr(backend, "_session", lambda _: session)
    with ThreadPoolExecutor(3) as pool:
        run = lambda _: backend(torch.zeros(1, 3, 4, 4), torch.float32)  # noqa: E731
        list(pool.map(run, range(3)))
    assert session.most == 1


def test_a_session_has_as_many_threads_as_pytorch_and_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def session(content: bytes, options: Any, **_: Any) -> Session:
        asked.append(options.intra_op_num_threads)
        return Session()

    monkeypatch.setattr(ort, "InferenceSession", session)
    backend = ONNXRuntime(network())
    for threads in (3, 3, 1):
        backend._session(threads)
    assert asked == [3, 1]


def test_a_sum_over_millions_of_numbers_keeps_its_digits() -> None:
    from onnx import TensorProto, helper

    values = np.random.default_rng(0).random((1, 1, 3000, 4000), dtype=np.float32)
    ops = onnx_graph.ONNXOperations()
    total = graph._sum("image", ops)
    image, result = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list("nchw"))
        for name in ("image", total)
    )
    drawn = helper.make_graph(ops.nodes, "sum", [image], [result], list(ops.constants.values()))
    model = helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString())
    found = float(session.run(None, {"image": values})[0].item())
    assert found == pytest.approx(values.sum(dtype=np.float64), rel=3e-6)
