import logging
import pickle
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from mirnet.errors import ConfigError, DeviceError, MirnetError, MissingDependencyError
from mirnet.inference.backends import choosing
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
def has_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the processor is: trials tell what it does."""
    monkeypatch.setattr(OpenVINO, "arithmetics", staticmethod(lambda: (FLOAT32, BFLOAT16)))


@pytest.fixture
def taken(tiny_model: MIRNetV2, has_bfloat16: None, monkeypatch: pytest.MonkeyPatch) -> Taken:
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
        monkeypatch.setattr(choosing, "trial_of", lambda candidate, *_, **__: trials[candidate])
        runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, runtime)  # type: ignore[arg-type]
        backend, dtype = runtimes.ranked(pixels, Wanted(FLOAT32, for_8_bits))[0]
        return type(backend), dtype

    return taken


def test_auto_takes_what_a_trial_showed(taken: Taken) -> None:
    assert taken(GOOD) == (OpenVINO, FLOAT32)
    assert taken(SLOW) == (PyTorch, FLOAT32)
    assert taken(GOOD, pixels=LARGE - 1) == (PyTorch, FLOAT32)


def test_auto_takes_the_fastest(taken: Taken) -> None:
    faster, little, wrong = Trial(2.3, 1e-6), Trial(2.2, 1e-6), Trial(9.0, 1e-3)
    assert taken(GOOD, faster) == (ONNXRuntime, FLOAT32)
    assert taken(GOOD, little) == (OpenVINO, FLOAT32)  # by chance, perhaps
    assert taken(faster, GOOD) == (OpenVINO, FLOAT32)
    assert taken(GOOD, wrong) == (OpenVINO, FLOAT32)
    assert taken(wrong, GOOD) == (ONNXRuntime, FLOAT32)
    assert taken(LOW, faster, for_8_bits=True) == (OpenVINO, BFLOAT16)
    slow_low = Trial(1.5, 1e-6, 1.6, 65.0)
    assert taken(slow_low, Trial(2.5, 1e-6), for_8_bits=True) == (ONNXRuntime, FLOAT32)


def test_8_bits_go_in_bfloat16_where_that_is_faster(taken: Taken) -> None:
    assert taken(LOW, for_8_bits=True) == (OpenVINO, BFLOAT16)
    assert taken(LOW) == (OpenVINO, FLOAT32)
    assert taken(GOOD, for_8_bits=True) == (OpenVINO, FLOAT32)


def test_bfloat16_that_was_asked_for_is_judged_too(
    tiny_model: MIRNetV2, has_bfloat16: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, slow = Trial(2.0, 1e-6, 3.0, 12.0), Trial(2.0, 1e-6, 0.5, 65.0)
    for trial, expected in ((LOW, OpenVINO), (wrong, PyTorch), (slow, PyTorch), (GOOD, PyTorch)):
        monkeypatch.setattr(choosing, "trial_of", lambda *_, trial=trial, **__: trial)
        runtimes = Runtimes(tiny_model.eval(), CPU, BFLOAT16, "auto")
        backend, dtype = runtimes.ranked(LARGE, Wanted(BFLOAT16))[0]
        assert (type(backend), dtype) == (expected, BFLOAT16)


def test_a_runtime_that_was_named_is_taken(taken: Taken) -> None:
    assert taken(SLOW, GOOD, pixels=64, runtime="openvino") == (OpenVINO, FLOAT32)
    assert taken(GOOD, SLOW, pixels=64, runtime="onnxruntime") == (ONNXRuntime, FLOAT32)
    assert taken(LOW, LOW, for_8_bits=True, runtime="torch") == (PyTorch, FLOAT32)
    assert taken(LOW, LOW, for_8_bits=True, runtime="compiled") == (Compiled, FLOAT32)


def test_a_trial_is_said_once(
    tiny_model: MIRNetV2,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "mirnet")
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: GOOD)
    runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, "auto")
    for _ in range(2):
        runtimes.ranked(LARGE, Wanted(FLOAT32))
    assert [record.getMessage() for record in caplog.records] == [
        f"{candidate(tiny_model).name}: 1.5 times as fast as PyTorch; differs by 1e-06"
        for candidate in CANDIDATES.values()
    ]


@pytest.mark.parametrize("runtime", ["auto", "openvino"])
def test_a_runtime_that_gives_something_else_is_warned_of(
    tiny_model: MIRNetV2,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    runtime: Any,
) -> None:
    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": OpenVINO})
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: Trial(2.0, 1e-2))
    Runtimes(tiny_model.eval(), CPU, FLOAT32, runtime).ranked(LARGE, Wanted(FLOAT32))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith("differs by 1e-02, which is too much")


def test_threads_that_begin_together_make_one_trial(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Noticed(OpenVINO):
        def __init__(self, network: MIRNetV2) -> None:
            made.append("runtime")
            time.sleep(0.05)
            super().__init__(network)

    def slow(*_: Any, **__: Any) -> Trial:
        made.append("trial")
        time.sleep(0.05)
        return GOOD

    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": Noticed})
    monkeypatch.setattr(choosing, "trial_of", slow)
    runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, "auto")
    with ThreadPoolExecutor(4) as pool:
        picked = list(pool.map(lambda _: runtimes.ranked(LARGE, Wanted(FLOAT32))[0], range(4)))
    assert made == ["runtime", "trial"]
    assert len({id(backend) for backend, _ in picked}) == 1


@pytest.mark.parametrize("runtime", CANDIDATES)
def test_what_a_runtime_cannot_do_goes_through_pytorch(tiny_model: MIRNetV2, runtime: Any) -> None:
    first = MIRNetV1(MIRNetV1Config(width=8, recursive_groups=1, blocks=1)).eval()
    for network, dtype in ((first, FLOAT32), (tiny_model, torch.float16)):
        ((backend, used),) = Runtimes(network, CPU, dtype, "auto").ranked(LARGE, Wanted(dtype))
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
    runtimes = Runtimes(tiny_model, CPU, BFLOAT16, "compiled")
    ((backend, dtype),) = runtimes.ranked(1, Wanted(BFLOAT16))
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
    ((backend, _),) = Runtimes(tiny_model, CPU, FLOAT32, "auto").ranked(LARGE, Wanted(FLOAT32))
    assert isinstance(backend, PyTorch)
    with pytest.raises(MissingDependencyError, match=rf'pip install "mirnet\[{extra}\]"'):
        Runtimes(tiny_model, CPU, FLOAT32, runtime)
    (sentence,) = report(tiny_model)
    assert sentence.endswith('"mirnet[fast]" or "mirnet[onnx]" may add a faster one')


def test_the_report_has_a_sentence_for_each_and_says_what_is_taken(
    tiny_model: MIRNetV2, has_bfloat16: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = {OpenVINO: LOW, ONNXRuntime: Trial(3.0, 1e-6)}
    monkeypatch.setattr(choosing, "trial_of", lambda each, _, anew: trials[each] if anew else SLOW)
    first, second = (candidate(tiny_model).name for candidate in CANDIDATES.values())
    assert report(tiny_model) == [
        f"{first}: 1.5 times as fast as PyTorch, in bfloat16 6.0 times; differs by 1e-06",
        f"{second}: 3.0 times as fast as PyTorch; differs by 1e-06",
        f"large photos go through {first} in bfloat16, of more than 8 bits through {second} in "
        "float32",
    ]


def test_a_runtime_without_bfloat16_goes_in_float32(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: LOW)
    runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, "onnxruntime")
    ((backend, dtype),) = runtimes.ranked(LARGE, Wanted(FLOAT32, for_8_bits=True))
    assert (type(backend), dtype) == (ONNXRuntime, FLOAT32)


class BrokenError(Exception):
    """What derives from nothing, as ONNX Runtime's own errors do."""


@pytest.mark.parametrize("error", [BrokenError, MemoryError, AttributeError, OSError])
@pytest.mark.parametrize("where", ["load", "arithmetics", "__init__", "_run", "setting"])
def test_a_runtime_that_is_broken_stops_no_photo(
    tiny_model: MIRNetV2,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    where: str,
    error: type[Exception],
) -> None:
    class Broken(OpenVINO):
        pass

    def fails(*_: Any) -> Any:
        raise error("broken")

    monkeypatch.setenv("MIRNET_CACHE", str(tmp_path))
    is_static = where in ("load", "arithmetics", "setting")
    setattr(Broken, where, staticmethod(fails) if is_static else fails)
    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": Broken})
    if where in ("load", "arithmetics"):
        with pytest.raises(MirnetError, match=r"broken"):
            runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, "openvino")
            runtimes.ranked(LARGE, Wanted(FLOAT32))
    runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, "auto")
    assert isinstance(runtimes.ranked(LARGE, Wanted(FLOAT32, True))[0].backend, PyTorch)
    told = "OpenVINO can't be used: broken" if where in ("load", "arithmetics", "__init__") else (
        f"{OpenVINO(tiny_model).name}: can't run this network"
    )  # fmt: skip
    assert report(tiny_model) == [
        told, f"large photos go through {PyTorch(tiny_model).name} in float32"
    ]  # fmt: skip


@pytest.mark.parametrize("error", ["TypeError", "SystemExit"])
def test_a_package_that_cannot_be_loaded_is_told_from_one_that_is_not_there(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: str
) -> None:
    (tmp_path / "openvino.py").write_text(f"raise {error}('Descriptors cannot be created')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    with pytest.raises(MissingDependencyError, match=r"can't be loaded \(Descriptors cannot be"):
        Runtimes(tiny_model, CPU, FLOAT32, "openvino")
    monkeypatch.setattr(choosing, "CANDIDATES", {"openvino": OpenVINO})
    ((backend, _),) = Runtimes(tiny_model, CPU, FLOAT32, "auto").ranked(LARGE, Wanted(FLOAT32))
    assert isinstance(backend, PyTorch)


@pytest.mark.parametrize("runtime", ["auto", "torch", *CANDIDATES])
def test_runtimes_go_into_another_process_and_work_there(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch, runtime: Any
) -> None:
    monkeypatch.setattr(choosing, "trial_of", lambda *_, **__: GOOD)
    runtimes = Runtimes(tiny_model.eval(), CPU, FLOAT32, runtime)
    images = torch.rand(1, 3, 12, 16)
    wanted = Wanted(FLOAT32)
    expected = runtimes.ranked(LARGE, wanted)[0].backend(images, FLOAT32)
    again = pickle.loads(pickle.dumps(runtimes))  # noqa: S301
    assert torch.equal(again.ranked(LARGE, wanted)[0].backend(images, FLOAT32), expected)


def test_a_process_without_the_runtime_says_so(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = pickle.dumps(Runtimes(tiny_model.eval(), CPU, FLOAT32, "openvino"))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "mirnet\[fast\]"'):
        pickle.loads(sent)  # noqa: S301


def test_without_a_compiler_one_is_asked_for_at_once(
    tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/nonexistent")
    with pytest.raises(DeviceError, match=r"needs a C\+\+ compiler, and /nonexistent isn't there"):
        Runtimes(tiny_model, CPU, FLOAT32, "compiled")
