import shutil
from typing import Any

import pytest
import torch

from mirnet.errors import DeviceError
from mirnet.inference.backends.compiled import Compiled
from mirnet.inference.backends.pytorch import PyTorch
from tests.inference.backends.test_candidates import network


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_it_gives_what_pytorch_gives() -> None:
    model = network(width=8, streams=1, columns=1, groups=(1,), final_fusion=False)
    backend = Compiled(model)
    images = torch.rand(1, 3, 12, 16, requires_grad=True)
    given = backend(images, torch.float32)
    assert (given - PyTorch(model)(images, torch.float32)).abs().max() <= 1e-5


def test_sizes_and_arithmetic_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_with = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: compile_with(model, backend="eager"))
    model = network()
    backend = Compiled(model)
    for size, dtype in (
        ((1, 3, 12, 16), torch.float32),
        ((2, 3, 8, 20), torch.float32),
        ((1, 3, 20, 8), torch.bfloat16),
    ):
        images = torch.rand(*size)
        given = backend(images, dtype)
        assert given.dtype == torch.float32
        assert torch.equal(given, PyTorch(model)(images, dtype))


def test_a_machine_without_a_compiler_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no such file: g++")

    compile_with = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: compile_with(model, backend=fails))
    with pytest.raises(
        DeviceError, match=r"compiled: can't compile here \(no such file: g\+\+\); take"
    ):
        Compiled(network())(torch.rand(1, 3, 8, 8), torch.float32)
