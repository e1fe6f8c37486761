from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mirnet.checkpoints.catalog import resolve
from mirnet.checkpoints.load import load_model
from mirnet.imaging.io import read_photo
from mirnet.imaging.quantize import to_planes
from mirnet.inference.padding import crop, pad
from mirnet.inference.streaming.canvas import Memory, Scratch
from mirnet.inference.streaming.stream import _Mean, stream
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2

PHOTO = Path(__file__).parents[3] / "examples/phone-night.png"
CPU = torch.device("cpu")
TINY: dict[str, Any] = {"width": 8, "blocks": 1, "groups": (1, 2)}
CONFIGS = {
    "two blocks": {"blocks": 2},
    "features": {"residual": "features", "in_channels": 6},
    "no skips": {"skip_connections": False},
    "no intermediate fusion": {"intermediate_fusion": False},
    "no final fusion": {"final_fusion": False},
    "resblock": {"block": "resblock"},
    "no transform": {"block": "rcb-no-transform"},
    "sum": {"fusion": "sum"},
    "concat": {"fusion": "concat"},
    **{
        f"{streams}×{columns}": {"streams": streams, "columns": columns}
        for streams in (1, 2, 3)
        for columns in (1, 2, 3)
    },
}


def network(seed: int = 0, **changes: Any) -> MIRNetV2:
    torch.manual_seed(seed)
    return MIRNetV2(MIRNetV2Config(**{**TINY, **changes})).eval()


def whole(network: MIRNetV2, image: Tensor) -> Tensor:
    with torch.no_grad():
        restored: Tensor = network(pad(image, network.config.multiple))
    return crop(restored, image.shape[2], image.shape[3])


def difference(network: MIRNetV2, image: Tensor, tile: tuple[int, int]) -> float:
    streamed = stream(network, image, tile=tile, rest=Memory(torch.float32, CPU))
    assert streamed.shape == (1, network.config.out_channels, *image.shape[2:])
    return float((streamed - whole(network, image)).abs().max())


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS.keys())
def test_every_config_gives_in_tiles_what_it_gives_in_one_piece(changes: dict[str, Any]) -> None:
    model = network(**changes)
    image = torch.rand(1, model.config.in_channels, 39, 61)
    assert difference(model, image, (12, 20)) <= 2e-5


@settings(max_examples=20, deadline=None)
@given(
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    tile=st.tuples(st.integers(2, 10), st.integers(2, 10)),
    residual=st.sampled_from(["image", "features"]),
    seed=st.integers(0, 1000),
)
def test_any_size_in_any_tiles(
    size: tuple[int, int], tile: tuple[int, int], residual: Any, seed: int
) -> None:
    model = network(seed, residual=residual)
    assert difference(model, torch.rand(1, 3, *size), (4 * tile[0], 4 * tile[1])) <= 2e-5


@pytest.mark.parametrize("config", [MIRNetV2Config(), MIRNetV2Config.small()], ids=str)
def test_the_papers_network_and_the_small_one(config: MIRNetV2Config) -> None:
    torch.manual_seed(1)
    assert difference(MIRNetV2(config).eval(), torch.rand(1, 3, 50, 75), (28, 40)) <= 2e-5


def photo() -> Tensor:
    return torch.from_numpy(to_planes(read_photo(PHOTO).pixels))[None, :, :56, :72]


def test_a_real_photo_through_the_shipped_weights() -> None:
    model = load_model(resolve("denoising"))
    assert isinstance(model, MIRNetV2)
    assert difference(model.eval(), photo(), (32, 28)) <= 2e-5


def test_bfloat16_is_within_a_step_of_8_bits_of_one_piece() -> None:
    model = load_model(resolve("denoising"))
    assert isinstance(model, MIRNetV2)
    with torch.autocast("cpu", torch.bfloat16):
        streamed = stream(model.eval(), photo(), tile=(32, 28), rest=Memory(torch.bfloat16, CPU))
        assert (streamed - whole(model, photo())).abs().max() <= 1 / 255


def test_a_scratch_file_gives_the_same_bits_and_leaves_nothing(tmp_path: Path) -> None:
    model, image = network(), torch.rand(1, 3, 40, 56)
    in_memory = stream(model, image, tile=(16, 24), rest=Memory(torch.float32, CPU))
    in_file = stream(model, image, tile=(16, 24), rest=Scratch(torch.float32, tmp_path))
    assert torch.equal(in_memory, in_file)
    assert not list(tmp_path.iterdir())


def test_values_beyond_black_and_white_are_clipped_as_in_one_piece() -> None:
    model = network()
    image = torch.rand(1, 3, 24, 24) * 1.2 - 0.1
    streamed = stream(model, image, tile=(8, 8), rest=Memory(torch.float32, CPU))
    assert (streamed - whole(model, image.clamp(0, 1))).abs().max() <= 2e-5


def test_progress_is_told_after_each_sweep() -> None:
    told: list[tuple[int, int]] = []
    model = network()
    stream(
        model,
        torch.rand(1, 3, 8, 8),
        tile=(4, 4),
        rest=Memory(torch.float32, CPU),
        progress=lambda done, total: told.append((done, total)),
    )
    sweeps = 1 + len(model.config.groups) * model.config.columns
    assert told == [(i + 1, sweeps) for i in range(sweeps)]


def test_the_mean_of_many_tiles_keeps_its_digits() -> None:
    mean = _Mean()
    tile = torch.full((1, 1, 3, 7), 0.1)
    for _ in range(20_000):  # 100 megapixels in small tiles
        mean.add(tile)
    assert float(mean.value()) == pytest.approx(0.1, rel=2e-7)
