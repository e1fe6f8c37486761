"""LPIPS against torchmetrics, which has it from its authors. The trunk's weights are random here:
the real ones are 233 MB."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mirnet.errors import CheckpointError, MissingDependencyError
from mirnet.metrics import lpips
from mirnet.metrics.lpips import LINEAR_SHA256, Lpips, linear_weights, load_lpips
from mirnet.metrics.protocol import PROTOCOLS, score, with_lpips


@pytest.fixture(scope="module")
def alexnet() -> nn.Sequential:
    """AlexNet's features, as its paper's single-column form lists them."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
    )  # fmt: skip


@pytest.fixture(scope="module")
def ours(alexnet: nn.Sequential) -> Lpips:
    linear = torch.load(linear_weights(), "cpu", weights_only=True)
    trunk = {f"features.{name}": value for name, value in alexnet.state_dict().items()}
    return Lpips(trunk=trunk, linear=tuple(linear.values()))


@pytest.fixture
def oracle(alexnet: nn.Sequential, monkeypatch: pytest.MonkeyPatch) -> Any:
    """torchmetrics' LPIPS. It takes AlexNet from torchvision, for which this stands in."""
    from torchmetrics.functional.image import lpips as theirs

    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda *_, **__: alexnet)
    return theirs._LPIPS(pretrained=True, net="alex", pnet_rand=True).eval()


def images(height: int, width: int, count: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(count, 3, height, width, generator=generator)
    noise = 0.1 * torch.randn(target.shape, generator=generator)
    return (target + noise).clamp(0, 1), target


@pytest.mark.parametrize("size", [(31, 31), (64, 48), (35, 127)])
def test_it_is_torchmetrics_lpips(ours: Lpips, oracle: Any, size: tuple[int, int]) -> None:
    output, target = images(*size)
    with torch.no_grad():
        expected = oracle(output, target, normalize=True).flatten().double()
    found = ours(output, target, data_range=1)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=1e-6)


def test_it_is_a_distance_of_each_image(ours: Lpips) -> None:
    output, target = images(40, 40, count=3)
    assert ours(target, target, data_range=1).tolist() == [0, 0, 0]
    every = ours(output, target, data_range=1)
    assert bool((every > 0).all())
    for i in range(3):
        assert ours(output[i : i + 1], target[i : i + 1], data_range=1).item() == every[i].item()
    torch.testing.assert_close(ours(output * 255, target * 255, data_range=255), every)


def test_what_it_can_t_look_at_is_refused(ours: Lpips) -> None:
    with pytest.raises(ValueError, match=r"at least 31×31 pixels, got \(3, 30, 40\)"):
        ours(*images(30, 40), data_range=1)
    grey = torch.rand(1, 1, 40, 40)
    with pytest.raises(ValueError, match="LPIPS takes RGB"):
        ours(grey, grey, data_range=1)


def test_a_protocol_can_have_it(ours: Lpips) -> None:
    output, target = images(40, 40)
    protocol = with_lpips(PROTOCOLS["dpdd"])
    found = score(output, target, protocol, lpips=ours)
    assert list(found) == ["psnr", "ssim", "mae", "lpips"]
    assert torch.equal(found["lpips"], ours(output, target, data_range=1))
    with pytest.raises(ValueError, match="protocol dpdd measures LPIPS: give it with its weights"):
        score(output, target, protocol)
    with pytest.raises(ValueError, match="LPIPS looks at RGB, and protocol realsr-x2 at the luma"):
        with_lpips(PROTOCOLS["realsr-x2"])


def test_weights_are_known_by_their_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hashlib.sha256(linear_weights().read_bytes()).hexdigest() == LINEAR_SHA256
    trunk = tmp_path / "alexnet.pth"
    with pytest.raises(CheckpointError, match="there is no such file; LPIPS needs https://downl"):
        load_lpips(trunk)
    torch.save({"features.0.weight": torch.zeros(1)}, trunk)
    with pytest.raises(CheckpointError, match="is not the file that LPIPS is defined with"):
        load_lpips(trunk)
    sha256 = hashlib.sha256(trunk.read_bytes()).hexdigest()
    monkeypatch.setattr(lpips, "TRUNK_SHA256", sha256)
    assert len(load_lpips(trunk).linear) == 5
    monkeypatch.setattr(lpips, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="LPIPS needs torchmetrics"):
        load_lpips(trunk)
