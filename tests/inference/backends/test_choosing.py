import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from mirnet.errors import ConfigError, DeviceError, MissingDependencyError
from mirnet.inference.backends import choosing
from mirnet.inference.backends.backend import Candidate
from mirnet.inference.backends.choosing import CANDIDATES, WORTH, Runtimes, Wanted, report
from mirnet.inference.backends.compiled import Compiled
from mirnet.inference.backends.onnxruntime import ONNXRuntime
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.pytorch import PyTorch
from mirnet.inference.backends.trial import Trial
from mirnet.models.mirnet_v1 import MIRNetV1, MIRNetV1Config
from mirnet.models.mirnet_v2 import MIRNetV2

pytest.importorskip("openvino")
pytest.importorskip("onnxruntime")
CPU, LARGE = torch.device("cpu"), WORTH
FLOAT32, BFLOAT16 = torch.float32, torch.bfloat16
GOOD, SLOW, LOW = Trial(1.5, 1e-6), Trial(0.7, 1e-6), Trial(1.5, 1e-6, 6.0, 65.0)

Taken = Callable[..., tuple[type, torch.dtype]]


@pytest.fixture
def taken(tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch) -> Taken:
    """What is taken, and in which arithmetic, after such trials of OpenVINO and ONNX Runtime."""

    def taken(
        first: Trial,
        second: Trial = SLOW,
        *,
        pixels: int = LARGE,
        for_8_bits: bool = False,
        runtime: str = "auto",
    ) -> tuple[type, torch.dtype]:
        trials = {OpenVINO: first, ONNXRuntime: second}
        monkeypatch.setattr(choosing, "trial_of", lambda candidate, _: trials[candidate])
        runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, runtime)  # type: ignore[arg-type]
        backend, dtype = runtimes.pick(pixels, Wanted(FLOAT32, for_8_bits))
        return type(backend), dtype

    return taken


def test_auto_takes_what_a_trial_showed(taken: Taken) -> None:
    assert taken(GOOD) == (OpenVINO, FLOAT32)
    assert taken(SLOW) == (PyTorch, FLOAT32)
    assert taken(GOOD, pixels=LARGE - 1) == (PyTorch, FLOAT32)


def test_auto_takes_the_fastest(taken: Taken) -> None:
    faster, wrong = Trial(1.8, 1e-6), Trial(9.0, 1e-3)
    assert taken(GOOD, faster) == (ONNXRuntime, FLOAT32)
    assert taken(faster, GOOD) == (OpenVINO, FLOAT32)
    assert taken(GOOD, wrong) == (OpenVINO, FLOAT32)
    assert taken(wrong, GOOD) == (ONNXRuntime, FLOAT32)
    assert taken(LOW, faster, for_8_bits=True) == (OpenVINO, BFLOAT16)


def test_8_bits_go_in_bfloat16_where_that_is_faster(taken: Taken) -> None:
    assert taken(LOW, for_8_bits=True) == (OpenVINO, BFLOAT16)
    assert taken(LOW) == (OpenVINO, FLOAT32)
    assert taken(GOOD, for_8_bits=True) == (OpenVINO, FLOAT32)


def test_a_runtime_that_was_named_is_taken(taken: Taken) -> None:
    assert taken(SLOW, GOOD, pixels=64, runtime="openvino") == (OpenVINO, FLOAT32)
    assert taken(GOOD, SLOW, pixels=64, runtime="onnxruntime") == (ONNXRuntime, FLOAT32)
    assert taken(LOW, LOW, for_8_bits=True, runtime="torch") == (PyTorch, FLOAT32)
    assert taken(LOW, LOW, for_8_bits=True, runtime="compiled") == (Compiled, FLOAT32)


def test_the_choice_is_said_once(
    tiny_model: MIRNetV2,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "mirnet")
    monkeypatch.setattr(choosing, "trial_of", lambda *_: GOOD)
    runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, "auto")
    for _ in range(2):
        runtimes.pick(LARGE, Wanted(FLOAT32))
    assert [record.getMessage() for record in caplog.records] == [
        f"{candidate(tiny_model).name}: 1.5 times as fast as PyTorch; differs by 1e-06"
        for candidate in CANDIDATES.values()
    ]


def test_threads_that_begin_together_make_one_trial(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Noticed(OpenVINO):
        def __init__(self, network: MIRNetV2) -> None:
            made.append("runtime")
            time.sleep(0.05)
            super().__init__(network)

    def slow(*_: Any) -> Trial:
        made.append("trial")
        time.sleep(0.05)
        return GOOD

    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": Noticed})
    monkeypatch.setattr(choosing, "trial_of", slow)
    runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, "auto")
    with ThreadPoolExecutor(4) as pool:
        picked = list(pool.map(lambda _: runtimes.pick(LARGE, Wanted(FLOAT32)), range(4)))
    assert made == ["runtime", "trial"]
    assert len({id(backend) for backend, _ in picked}) == 1


@pytest.mark.parametrize("runtime", CANDIDATES)
def test_what_a_runtime_cannot_do_goes_through_pytorch(tiny_model: MIRNetV2, runtime: Any) -> None:
    first = MIRNetV1(MIRNetV1Config(width=8, recursive_groups=1, blocks=1)).eval()
    for network, dtype in ((first, FLOAT32), (tiny_model, torch.float16)):
        backend, used = Runtimes(network, CPU, dtype, "auto").pick(LARGE, Wanted(dtype))
        assert (type(backend), used) == (PyTorch, dtype)
    with pytest.raises(ConfigError, match=f"{runtime}: runs mirnet-v2, not mirnet-v1; take torch"):
        Runtimes(first, CPU, FLOAT32, runtime)
    with pytest.raises(DeviceError, match="no float16 on this processor"):
        Runtimes(tiny_model, CPU, torch.float16, runtime)
    with pytest.raises(DeviceError, match="computes on the CPU, not on mps"):
        Runtimes(tiny_model, torch.device("mps"), FLOAT32, runtime)


def test_the_compiler_is_for_cpus_and_cuda(tiny_model: MIRNetV2) -> None:
    with pytest.raises(DeviceError, match="compiled: is for cpu and cuda, not mps; take torch"):
        Runtimes(tiny_model, torch.device("mps"), FLOAT32, "compiled")
    backend, dtype = Runtimes(tiny_model, CPU, BFLOAT16, "compiled").pick(1, Wanted(BFLOAT16))
    assert (type(backend), dtype) == (Compiled, BFLOAT16)


def test_an_unknown_runtime_is_refused_with_the_known(tiny_model: MIRNetV2) -> None:
    named: Any = "tensorrt"
    known = "auto, torch, compiled, openvino, onnxruntime"
    with pytest.raises(ConfigError, match=f"must be one of {known}, got 'tensorrt'"):
        Runtimes(tiny_model, CPU, FLOAT32, named)


@pytest.mark.parametrize(("runtime", "extra"), [("openvino", "fast"), ("onnxruntime", "onnx")])
def test_without_a_runtime(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, runtime: Any, extra: str
) -> None:
    for package in CANDIDATES:
        monkeypatch.setitem(sys.modules, package, None)
    candidate: type[Candidate] = CANDIDATES[runtime]
    assert not candidate.is_installed()
    backend, _ = Runtimes(tiny_model, CPU, FLOAT32, "auto").pick(LARGE, Wanted(FLOAT32))
    assert isinstance(backend, PyTorch)
    with pytest.raises(MissingDependencyError, match=rf'pip install "mirnet\[{extra}\]"'):
        Runtimes(tiny_model, CPU, FLOAT32, runtime)
    (sentence,) = report(tiny_model)
    assert sentence.endswith('pip install "mirnet[fast]" adds a faster one')


def test_the_report_has_a_sentence_for_each(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "trial_of", lambda *_, anew: GOOD if anew else SLOW)
    assert [sentence.split(":")[0] for sentence in report(tiny_model)] == [
        candidate(tiny_model).name for candidate in CANDIDATES.values()
    ]
