import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mirnet.checkpoints.load import load_model
from mirnet.checkpoints.store import (
    FORMAT_VERSION,
    METADATA_KEY,
    read_checkpoint,
    save_model,
)
from mirnet.errors import CheckpointError
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v2 import MIRNetV2
from tests.checkpoints.conftest import refused
from tests.conftest import TINY

Weights = dict[str, Tensor]
Description = dict[str, Any]

ODD_CONFIG = MIRNetV2Config(
    width=8,
    groups=(1, 2),
    blocks=1,
    columns=1,
    in_channels=6,
    residual="features",
    fusion="concat",
    block="rcb-no-transform",
)


def test_one_file_rebuilds_its_model(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    model = MIRNetV2(ODD_CONFIG).eval()
    save_model(model, path, task="dual-pixel-deblurring", provenance={"seed": 7})
    checkpoint = read_checkpoint(path)
    assert checkpoint.config == ODD_CONFIG
    assert checkpoint.task == "dual-pixel-deblurring"
    assert checkpoint.provenance == {"seed": 7}
    views = torch.rand(1, 6, 8, 12)
    with torch.inference_mode():
        assert torch.equal(load_model(path)(views), model(views))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_stored_small_and_loaded_as_float32(
    tmp_path: Path, tiny_model: MIRNetV2, dtype: torch.dtype
) -> None:
    half, full = tmp_path / "half.safetensors", tmp_path / "full.safetensors"
    save_model(tiny_model, half, dtype=dtype)
    save_model(tiny_model, full)
    parameters = sum(parameter.numel() for parameter in tiny_model.parameters())
    saved = full.stat().st_size - half.stat().st_size
    assert abs(saved - 2 * parameters) < 100  # headers differ by a few bytes
    for name, value in load_model(half).state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, tiny_model.state_dict()[name].to(dtype).float())


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, tiny_model: MIRNetV2) -> None:
    for name in ("one.safetensors", "two.safetensors"):
        save_model(tiny_model, tmp_path / name, provenance={"b": 1, "a": 2})
    one, two = (tmp_path / name for name in ("one.safetensors", "two.safetensors"))
    assert one.read_bytes() == two.read_bytes()


def test_a_save_that_fails_leaves_the_old_file(
    tmp_path: Path, tiny_model: MIRNetV2, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_model(tiny_model, path)
    before = path.read_bytes()

    def fail(_weights: Weights, temporary: Path, _metadata: dict[str, str]) -> None:
        temporary.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("mirnet.checkpoints.store.save_file", fail)
    with pytest.raises(OSError, match="no space"):
        save_model(tiny_model, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_description_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    nested = "[" * 100_000 + "]" * 100_000
    save_file({"conv_in.weight": torch.zeros(1)}, path, {METADATA_KEY: nested})
    refused(path, "its description in the metadata is not JSON")


def test_a_missing_folder_is_named(tmp_path: Path, tiny_model: MIRNetV2) -> None:
    with pytest.raises(CheckpointError, match=r"there is no folder .*nowhere; make it first"):
        save_model(tiny_model, tmp_path / "nowhere" / "model.safetensors")


Spoil = Callable[[Weights, Description], object]


def drop(name: str) -> Spoil:
    return lambda weights, _description: weights.pop(name)


def put(name: str, value: Tensor) -> Spoil:
    return lambda weights, _description: weights.update({name: value})


def say(key: str, value: Any) -> Spoil:
    return lambda _weights, description: description.update({key: value})


TINY_FIELDS = TINY.to_dict()
NEWER = FORMAT_VERSION + 1
MALFORMED: dict[str, tuple[Spoil, str]] = {
    "a missing key": (drop("conv_in.weight"), r"conv_in\.weight is missing"),
    "an extra key": (put("head.bias", torch.zeros(3)), r"head\.bias is not part of this network"),
    "a wrong shape": (
        put("conv_in.weight", torch.zeros(8, 4, 3, 3)),
        r"conv_in\.weight has shape \(8, 4, 3, 3\), the network needs \(8, 3, 3, 3\)",
    ),
    "integers": (
        put("conv_in.weight", torch.zeros(8, 3, 3, 3, dtype=torch.int8)),
        r"conv_in\.weight holds torch\.int8, not floating point",
    ),
    "float8": (
        put("conv_in.weight", torch.zeros(8, 3, 3, 3).to(torch.float8_e4m3fn)),
        r"conv_in\.weight holds torch\.float8_e4m3fn, not floating point of 16, 32 or 64 bits",
    ),
    "a name of two lines": (put("a\nb", torch.zeros(1)), r"'a\\nb' is not part"),
    "a field of two lines": (say("config", {"a\nb": 8}), r"a\\nb: no such"),
    "NaN": (
        put("conv_in.weight", torch.full((8, 3, 3, 3), torch.nan)),
        r"conv_in\.weight holds values that are not finite",
    ),
    "a newer version": (say("format_version", NEWER), f"format version {NEWER}, .* upgrade"),
    "a version of words": (say("format_version", "two"), "format_version is 'two', not a number"),
    "a config that is a list": (say("config", [8]), r"its config is \[8\], not a JSON object"),
    "an unknown field": (say("config", {"wdith": 8}), "its config is not valid: wdith: no such"),
    "a broken rule": (
        say("config", {**TINY_FIELDS, "streams": 7}),
        "streams: must be a whole number from 1 to 3, got 7",
    ),
    "a billion blocks": (
        say("config", {**TINY_FIELDS, "blocks": 10**9}),
        "blocks: must be a whole number from 1 to 16",
    ),
    "more blocks than tensors": (
        say("config", {**TINY_FIELDS, "groups": [1] * 16, "blocks": 16}),
        "its config has 256 blocks, and the file holds",
    ),
    "a task that is a number": (say("task", 7), "its task is not a str"),
    "a provenance that is a list": (say("provenance", [1]), "its provenance is not a dict"),
}


@pytest.mark.parametrize(("spoil", "fault"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_file_is_refused_in_one_line_that_names_the_fault(
    tmp_path: Path, tiny_weights: Path, spoil: Spoil, fault: str
) -> None:
    weights = load_file(tiny_weights)
    description: Description = {"format_version": FORMAT_VERSION, "config": TINY_FIELDS}
    spoil(weights, description)
    path = tmp_path / "spoilt.safetensors"
    save_file(weights, path, {METADATA_KEY: json.dumps(description)})
    refused(path, fault)


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({}, "holds no mirnet config in its metadata"),
        ({"format": "pt"}, "holds no mirnet config in its metadata"),
        ({METADATA_KEY: "{width:"}, "its description in the metadata is not JSON"),
        ({METADATA_KEY: "[1]"}, "its description in the metadata is not a JSON object"),
    ],
)
def test_a_file_that_does_not_describe_itself_is_refused(
    tmp_path: Path, tiny_weights: Path, metadata: dict[str, str], fault: str
) -> None:
    path = tmp_path / "other.safetensors"
    save_file(load_file(tiny_weights), path, metadata)
    refused(path, fault)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, tiny_weights: Path, share: float) -> None:
    content = tiny_weights.read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, "not a whole safetensors file")


def test_noise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.safetensors"
    path.write_bytes(np.random.default_rng(0).bytes(4096))
    refused(path, "not a whole safetensors file")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "gone.safetensors", "there is no such weights file")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_that_must_not_be_read_is_not_called_damaged(
    tmp_path: Path, tiny_weights: Path, forbid: Callable[[Path], None], suffix: str
) -> None:
    path = tmp_path / f"theirs{suffix}"
    path.write_bytes(tiny_weights.read_bytes())
    forbid(path)
    refused(path, r"can't be read \(Permission denied\); get the right to read it, or name a copy$")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(b"HDF")
    refused(path, r"weights end in \.safetensors")
