"""What all runtimes beside PyTorch must do."""

from typing import Any

import pytest
import torch

from mirnet.errors import DeviceError
from mirnet.inference.backends.backend import Candidate
from mirnet.inference.backends.choosing import CANDIDATES
from mirnet.inference.backends.pytorch import PyTorch
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.rcb import ContextModule
from tests.models.test_mirnet_v2 import ABLATIONS, tiny


def network(**changes: Any) -> MIRNetV2:
    torch.manual_seed(0)
    return MIRNetV2(tiny(**changes)).eval()


@pytest.fixture(params=list(CANDIDATES))
def candidate(request: pytest.FixtureRequest) -> type[Candidate]:
    candidate = CANDIDATES[request.param]
    for package in candidate.PACKAGES:
        pytest.importorskip(package)
    return candidate


@pytest.mark.parametrize("changes", ABLATIONS.values(), ids=ABLATIONS.keys())
def test_every_config_gives_what_pytorch_gives(
    candidate: type[Candidate], changes: dict[str, Any]
) -> None:
    model = network(**changes)
    images = torch.rand(2, model.config.in_channels, 20, 28)
    expected = PyTorch(model)(images, torch.float32)
    assert (candidate(model)(images, torch.float32) - expected).abs().max() <= 1e-5


def test_one_object_runs_every_size(candidate: type[Candidate]) -> None:
    model = network()
    backend = candidate(model)
    for size in ((1, 3, 20, 28), (2, 3, 8, 4), (1, 3, 4, 40), (1, 3, 20, 28)):
        images = torch.rand(*size)
        expected = PyTorch(model)(images, torch.float32)
        assert (backend(images, torch.float32) - expected).abs().max() <= 1e-5


def test_sums_over_a_large_picture_lose_no_digits(candidate: type[Candidate]) -> None:
    model = network(width=8, blocks=1, groups=(2,), streams=1)
    images = torch.rand(1, 3, 1600, 2000)
    expected = PyTorch(model)(images, torch.float32)
    assert (candidate(model)(images, torch.float32) - expected).abs().max() <= 1e-5


def test_scores_that_are_large_do_not_overflow(candidate: type[Candidate]) -> None:
    model = network()
    for module in model.modules():
        if isinstance(module, ContextModule):
            torch.nn.init.constant_(module.mask.weight, 300.0)
    images = torch.rand(1, 3, 12, 16) * 100
    expected = PyTorch(model)(images, torch.float32)
    assert torch.isfinite(expected).all()
    given = candidate(model)(images, torch.float32)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-3)


def test_an_image_that_is_given_is_not_changed(candidate: type[Candidate]) -> None:
    images = torch.rand(1, 3, 12, 16)
    copy = images.clone()
    candidate(network())(images, torch.float32)
    assert torch.equal(images, copy)


def test_an_image_with_a_gradient_is_taken(candidate: type[Candidate]) -> None:
    images = torch.rand(1, 3, 12, 16, requires_grad=True)
    outputs = candidate(network())(images, torch.float32)
    assert not torch.isnan(outputs).any()


def test_an_arithmetic_that_is_not_there_is_refused(candidate: type[Candidate]) -> None:
    with pytest.raises(
        DeviceError, match=f"{candidate.TITLE} has no float16 on this processor; choose float32"
    ):
        candidate(network())(torch.rand(1, 3, 8, 8), torch.float16)
