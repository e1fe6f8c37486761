import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch

from mirnet.errors import DeviceError
from mirnet.inference.backends import openvino
from mirnet.inference.backends.openvino import OpenVINO
from mirnet.inference.backends.pytorch import PyTorch
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.models.test_mirnet_v2 import ABLATIONS, tiny

pytest.importorskip("openvino")


def network(**changes: Any) -> MIRNetV2:
    torch.manual_seed(0)
    return MIRNetV2(tiny(**changes)).eval()


@pytest.mark.parametrize("changes", ABLATIONS.values(), ids=ABLATIONS.keys())
def test_every_config_gives_what_pytorch_gives(changes: dict[str, Any]) -> None:
    model = network(**changes)
    images = torch.rand(2, model.config.in_channels, 20, 28)
    expected = PyTorch(model)(images, torch.float32)
    assert (OpenVINO(model)(images, torch.float32) - expected).abs().max() <= 1e-5


def test_sums_over_a_large_picture_lose_no_digits() -> None:
    model = network(width=8, blocks=1, groups=(2,), streams=1)
    images = torch.rand(1, 3, 1600, 2000)
    expected = PyTorch(model)(images, torch.float32)
    assert (OpenVINO(model)(images, torch.float32) - expected).abs().max() <= 1e-5


def test_it_goes_into_another_process_and_works_there() -> None:
    model = network()
    images = torch.rand(1, 3, 12, 16)
    backend = OpenVINO(model)
    expected = backend(images, torch.float32)
    again = pickle.loads(pickle.dumps(backend))  # noqa: S301
    assert torch.equal(again(images, torch.float32), expected)


def test_graphs_of_few_shapes_are_kept() -> None:
    backend = OpenVINO(network())
    for size in range(1, openvino.KEPT + 3):
        backend(torch.rand(1, 3, 4 * size, 8), torch.float32)
    assert len(backend._graphs) == openvino.KEPT


def test_a_signal_after_graphs_have_gone_is_an_interrupt_still() -> None:
    script = """
import gc, os, signal, torch
from mirnet.inference.backends import openvino
from tests.inference.backends.test_openvino import network
backend = openvino.OpenVINO(network())
for size in range(1, openvino.KEPT + 3):
    backend(torch.rand(1, 3, 4 * size, 8), torch.float32)
openvino.arithmetics(), openvino.processor()
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


def test_an_image_that_is_given_is_not_changed() -> None:
    images = torch.rand(1, 3, 12, 16)
    copy = images.clone()
    OpenVINO(network())(images, torch.float32)
    assert torch.equal(images, copy)


def test_an_arithmetic_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="no float16 on this processor; choose float32"):
        OpenVINO(network())(torch.rand(1, 3, 8, 8), torch.float16)


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


def test_an_image_with_a_gradient_is_taken() -> None:
    images = torch.rand(1, 3, 12, 16, requires_grad=True)
    outputs = OpenVINO(network())(images, torch.float32)
    assert not torch.isnan(outputs).any()
