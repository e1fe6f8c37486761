import json
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mirnet.checkpoints.convert import CONTAINERS, released_names
from mirnet.checkpoints.load import load_checkpoint, load_model
from mirnet.checkpoints.store import read_checkpoint, save_model
from mirnet.cli.app import main
from mirnet.errors import CheckpointError, UnsafeCheckpointError
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.checkpoints.conftest import refused

LAYOUT = Path(__file__).parent.parent / "golden" / "released_layout.json"
Weights = dict[str, Tensor]


def released_weights(**other_shapes: tuple[int, ...]) -> Weights:
    """Random weights with the keys and shapes of the released files."""
    shapes: dict[str, list[int]] = json.loads(LAYOUT.read_text("utf-8"))["keys"]
    torch.manual_seed(0)
    return {
        name: torch.randn(*other_shapes.get(name.split(".")[0], shape)) * 0.02
        for name, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def small_released() -> Weights:
    """The same layout, but with 8 channels: quick to write and read."""
    torch.manual_seed(0)
    model = MIRNetV2(MIRNetV2Config(width=16, blocks=1, groups=(1, 2, 4, 4)))
    names = released_names(model)
    return {names[name]: value for name, value in model.state_dict().items()}


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_refused_in_one_line(
    tmp_path: Path, small_released: Weights, seed: int
) -> None:
    path = tmp_path / "released.pth"
    torch.save({"params": small_released}, path)
    sound = path.read_bytes()
    pickled = sound.index(b"conv_in")
    rng = np.random.default_rng(seed)
    for _ in range(40):
        broken = bytearray(sound)
        for at in pickled + rng.integers(-200, 3000, 3):
            broken[at] = int(rng.integers(256))
        path.write_bytes(broken)
        try:
            load_model(path)
        except CheckpointError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)


@pytest.mark.parametrize("made", ["sparse", "huge", "meta"])
def test_tensors_whose_numbers_are_not_in_the_file_are_refused(
    tmp_path: Path, small_released: Weights, made: str
) -> None:
    odd = {
        "sparse": torch.zeros(16, 3, 3, 3).to_sparse(),
        "huge": torch.zeros(1).expand(16, 3, 3, 3),
        "meta": torch.zeros(16, 3, 3, 3, device="meta"),
    }[made]
    path = tmp_path / "released.pth"
    torch.save({"params": {**small_released, "conv_in.weight": odd}}, path)
    refused(path, "'conv_in.weight' in its params is not a plain tensor")


def test_the_released_layout_is_our_released_preset() -> None:
    with torch.device("meta"):
        model = MIRNetV2(MIRNetV2Config.released())
    names = released_names(model)
    ours = {names[name]: list(value.shape) for name, value in model.state_dict().items()}
    assert ours == json.loads(LAYOUT.read_text("utf-8"))["keys"]


def test_a_released_file_loads_and_converts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "real_denoising.pth", tmp_path / "ours.safetensors"
    weights = released_weights()
    torch.save({"params": weights}, source)
    assert main(["convert", str(source), str(target), "--task", "denoising"]) == 0
    assert "5,858,560 parameters, 3 input channels" in capsys.readouterr().out
    converted = read_checkpoint(target)
    assert converted.config == MIRNetV2Config.released()
    assert converted.task == "denoising"
    assert converted.provenance == {"converted_from": "real_denoising.pth"}
    names = released_names(MIRNetV2(converted.config))
    assert all(torch.equal(converted.weights[ours], weights[names[ours]]) for ours in names)
    direct = load_model(source).state_dict()
    assert all(torch.equal(value, converted.weights[name]) for name, value in direct.items())


def test_six_channels_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "dual_pixel.pth"
    torch.save({"params": released_weights(conv_in=(80, 6, 3, 3))}, path)
    model = load_model(path)
    assert model.config.in_channels == 6
    assert model.config.residual == "features"
    assert sum(parameter.numel() for parameter in model.parameters()) == 5_860_720


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_containers_and_prefixes(
    tmp_path: Path, small_released: Weights, container: str, prefix: str
) -> None:
    path = tmp_path / "released.pth"
    weights = OrderedDict((prefix + name, value) for name, value in small_released.items())
    torch.save({container: weights}, path)
    model = load_model(path)
    assert torch.equal(model.conv_in.weight, small_released["conv_in.weight"])


def test_a_target_that_is_there_is_kept(
    tmp_path: Path, small_released: Weights, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "released.pth"
    torch.save({"params": small_released}, source)
    target = source.with_suffix(".safetensors")
    target.write_bytes(b"mine")
    assert main(["convert", str(source)]) == 1
    assert "is already there; name another, or add --overwrite" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert main(["convert", str(source), "--overwrite", "--dtype", "float16"]) == 0
    stored = load_checkpoint(target).weights.values()
    assert {value.dtype for value in stored} == {torch.float16}


class Harmful:
    """Unpickling this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.mkdir, (self.folder,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(
    tmp_path: Path, small_released: Weights, zipped: bool
) -> None:
    path, trace = tmp_path / "harmful.pth", tmp_path / "was-here"
    content = {"params": small_released, "hook": Harmful(trace)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeCheckpointError, match="could run code") as caught:
        load_model(path)
    assert not trace.exists()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def without(weights: Weights, name: str) -> Weights:
    return {key: value for key, value in weights.items() if key != name}


MALFORMED: dict[str, tuple[Callable[[Weights], Any], str]] = {
    "a missing key": (
        lambda w: {"params": without(w, "body.1.body.0.skff_top.fcs.0.weight")},
        r"body\.1\.body\.0\.skff_top\.fcs\.0\.weight is missing",
    ),
    "no first convolution": (
        lambda w: {"params": without(w, "conv_in.weight")},
        r"conv_in\.weight is missing",
    ),
    "an extra key": (
        lambda w: {"params": {**w, "conv_in.bias": torch.zeros(16)}},
        r"conv_in\.bias is not part of this network",
    ),
    "a wrong shape": (
        lambda w: {"params": {**w, "body.0.body.0.conv_out.weight": torch.zeros(16, 16, 3, 3)}},
        r"body\.0\.body\.0\.conv_out\.weight has shape \(16, 16, 3, 3\)",
    ),
    "a tensor of one dimension": (
        lambda w: {"params": {**w, "conv_in.weight": torch.zeros(16)}},
        r"conv_in\.weight has shape \(16,\), not that of a convolution",
    ),
    "NaN": (
        lambda w: {"params": {**w, "conv_in.weight": w["conv_in.weight"] * torch.nan}},
        r"conv_in\.weight holds values that are not finite",
    ),
    "no container": (lambda w: {"state_dict": w}, "has no params or params_ema .* state_dict"),
    "a bare list": (lambda w: [*w.values()], "holds a list, not a dict of weights"),
    "an empty container": (lambda _: {"params": {}}, "its params is not a dict of tensors"),
    "a number among tensors": (
        lambda w: {"params": {**w, "epoch": 3}},
        "epoch' in its params is not a plain tensor",
    ),
    "another network": (
        lambda _: {"params": {"layer1.0.conv1.weight": torch.zeros(64, 64, 3, 3)}},
        r"conv_in\.weight is missing; it is not a MIRNet-v2 checkpoint",
    ),
}


@pytest.mark.parametrize(("make", "fault"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_file_is_refused_in_one_line_that_names_the_fault(
    tmp_path: Path, small_released: Weights, make: Callable[[Weights], Any], fault: str
) -> None:
    path = tmp_path / "spoilt.pth"
    torch.save(make(small_released), path)
    refused(path, fault)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.6, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, small_released: Weights, share: float) -> None:
    whole, path = tmp_path / "whole.pth", tmp_path / "cut.pth"
    torch.save({"params": small_released}, whole)
    content = whole.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "truncated")


def test_text_and_plain_pickles_are_refused(tmp_path: Path) -> None:
    text, plain = tmp_path / "text.pth", tmp_path / "plain.pth"
    text.write_text("<html>404 not found</html>", "utf-8")
    plain.write_bytes(pickle.dumps({"params": {"conv_in.weight": [1.0, 2.0]}}, protocol=2))
    refused(text, "not a torch checkpoint")
    refused(plain, "truncated or damaged torch checkpoint")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_to_the_released_layout_and_back_is_bit_exact(tmp_path: Path, dtype: str) -> None:
    torch.manual_seed(1)
    model = MIRNetV2(MIRNetV2Config(width=16, blocks=2, groups=(1, 2, 4), columns=3))
    ours, theirs, back = (tmp_path / name for name in ("a.safetensors", "b.pth", "c.safetensors"))
    save_model(model, ours, task="denoising")
    command = ["convert", str(ours), str(theirs), "--to", "released", "--dtype", dtype]
    assert main(command) == 0
    assert set(torch.load(theirs, weights_only=True)) == {"params"}
    assert main(["convert", str(theirs), str(back), "--dtype", dtype]) == 0
    again = load_checkpoint(back)
    assert again.config == model.config
    kind = getattr(torch, dtype)
    for name, value in model.state_dict().items():
        assert torch.equal(again.weights[name], value.to(kind)), name


def test_the_released_keys_and_shapes_are_written(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MIRNetV2(MIRNetV2Config.released())
    save_model(model, tmp_path / "a.safetensors", task="denoising")
    assert main(["convert", str(tmp_path / "a.safetensors"), "--to", "released"]) == 0
    written = torch.load(tmp_path / "a.pth", weights_only=True)["params"]
    expected = json.loads(LAYOUT.read_text("utf-8"))["keys"]
    assert {name: list(value.shape) for name, value in written.items()} == expected


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"streams": 2}, "can't hold streams = 2, but 3"),
        ({"streams": 1}, "can't hold streams = 1, but 3"),
        ({"fusion": "sum"}, "can't hold fusion = 'sum', but 'skff'"),
        ({"fusion": "concat"}, "can't hold fusion = 'concat'"),
        ({"block": "rcb-no-transform"}, "can't hold block = 'rcb-no-transform', but 'rcb'"),
        ({"block": "resblock"}, "can't hold block = 'resblock'"),
        ({"residual": "features"}, "residual = 'features'"),
        ({"intermediate_fusion": False}, "can't hold intermediate_fusion = False, but True"),
        ({"final_fusion": False}, "can't hold final_fusion = False, but True"),
        ({"width_factor": 1.25}, "width_factor = 1.25"),
        ({"skip_connections": False}, "skip_connections = False"),
    ],
)
def test_what_the_released_layout_cant_hold_is_refused(
    changes: dict[str, Any], field: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = MIRNetV2Config(**{"width": 16, "blocks": 1, "groups": (1,), **changes})
    save_model(MIRNetV2(config), tmp_path / "a.safetensors", task="denoising")
    assert main(["convert", str(tmp_path / "a.safetensors"), "--to", "released"]) == 1
    error = capsys.readouterr().err
    assert field in error
    assert error.count("\n") == 1
    assert error.count("a.pth") == 1
    assert not (tmp_path / "a.pth").exists()


def test_a_task_cant_be_noted_in_the_released_layout(
    tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["convert", str(tiny_weights), str(tmp_path / "a.pth"), "--to", "released"]
    assert main([*command, "--task", "denoising"]) == 1
    assert "--task: can't be noted" in capsys.readouterr().err
