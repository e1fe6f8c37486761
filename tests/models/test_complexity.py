"""The counts of Table 1 and Table 9, exactly."""

from typing import Any

import pytest
import torch
from torch import nn

from mirnet.errors import ConfigError
from mirnet.models.complexity import complexity, measure
from mirnet.models.config import MIRNetV2Config
from mirnet.models.skff import ConcatFusion, SelectiveKernelFusion, SumFusion


def test_the_papers_network() -> None:
    counts = complexity(MIRNetV2Config())
    assert counts.parameters == 5_858_560
    assert round(counts.macs / 1e9, 4) == 139.5057
    assert counts.convolutions == 406
    assert counts.convolution_modules == 238
    assert round(counts.activations / 1e6, 3) == 390.220


@pytest.mark.parametrize(
    ("changes", "parameters", "gmacs"),
    [
        ({"groups": (1, 1, 1, 1)}, 9_688_960, 252.99),
        ({"groups": (4, 4, 4, 4)}, 3_943_360, 82.76),
        ({"groups": (1, 2, 4, 4)}, 5_858_560, 139.51),
        ({"in_channels": 6, "residual": "features"}, 5_860_720, None),
    ],
)
def test_variants(changes: dict[str, Any], parameters: int, gmacs: float | None) -> None:
    counts = complexity(MIRNetV2Config(**changes))
    assert counts.parameters == parameters
    assert gmacs is None or round(counts.macs / 1e9, 2) == gmacs


@pytest.mark.parametrize(
    ("fusion", "parameters"),
    [(SelectiveKernelFusion(64), 1_536), (ConcatFusion(64), 8_192), (SumFusion(), 0)],
)
def test_fusions_of_table_9(fusion: nn.Module, parameters: int) -> None:
    streams = [torch.rand(1, 64, 8, 8) for _ in range(2)]
    assert measure(fusion, streams).parameters == parameters


@pytest.mark.parametrize(
    ("block", "millions"), [("resblock", 5.0), ("rcb", 5.9), ("rcb-no-transform", 5.0)]
)
def test_blocks_of_table_8(block: Any, millions: float) -> None:
    assert round(complexity(MIRNetV2Config(block=block)).parameters / 1e6, 1) == millions


@pytest.mark.parametrize("size", [(0, 8), (8, -4)])
def test_a_size_below_one_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match=r"(height|width): must be a whole number from 1"):
        complexity(MIRNetV2Config.small(), *size)


def test_cost_grows_with_the_pixels() -> None:
    config = MIRNetV2Config.small()
    once, four = complexity(config, 64, 64), complexity(config, 128, 128)
    assert four.activations > 3.9 * once.activations
    assert four.parameters == once.parameters
