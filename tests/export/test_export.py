import json
import logging
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from numpy.typing import NDArray

from mirnet.checkpoints.load import load_checkpoint
from mirnet.checkpoints.store import save_model
from mirnet.cli.app import main
from mirnet.errors import MirnetError, MissingDependencyError
from mirnet.export import artefact, verify
from mirnet.export.artefact import SUFFIXES
from mirnet.export.formats import write_darktable, write_onnx, write_openvino
from mirnet.export.portable import Portable
from mirnet.inference.restorer import Restorer
from mirnet.models.config import MIRNetV2Config
from mirnet.models.mirnet_v1 import MIRNetV1, MIRNetV1Config
from mirnet.models.mirnet_v2 import MIRNetV2

onnxruntime: Any = pytest.importorskip("onnxruntime")
openvino: Any = pytest.importorskip("openvino")
Capture = pytest.CaptureFixture[str]
Pixels = NDArray[np.float32]
MODEL_CONFIG = MIRNetV2Config(width=8, groups=(1,), blocks=1)


def picture(height: int, width: int, batch: int = 1) -> Pixels:
    return np.random.default_rng(1).random((batch, 3, height, width), dtype=np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "Tiny_1.5 (v2).safetensors"
    save_model(MIRNetV2(MODEL_CONFIG), path, task="denoising")
    card = "# Tiny\n\n![A picture](a.jpg)\n\nTrained on noise; free.\n"
    path.with_suffix(".md").write_text(card, "utf-8")
    return path


@pytest.fixture(scope="module")
def restorer(weights: Path) -> Restorer:
    return Restorer.from_pretrained(weights, device="cpu")


@pytest.fixture(scope="module")
def artefacts(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The weights in every format, as the command writes them; once for all workers: it is slow."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "artefacts"
    made: dict[str, Path] = {kind: folder / f"model{suffix}" for kind, suffix in SUFFIXES.items()}
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            for kind, path in made.items():
                assert main(["export", str(weights), "--format", kind, "-o", str(path)]) == 0
    beside = {"model.bin", *(f"{path.name}.md" for path in made.values())}
    assert {each.name for each in folder.iterdir()} == {*(p.name for p in made.values()), *beside}
    return made


def run(path: Path, kind: str, image: Pixels) -> Pixels:
    """As a program does that knows nothing of mirnet."""
    result: Any
    if kind == "torch-export":
        result = torch.export.load(path).module()(torch.from_numpy(image)).detach()
    elif kind == "openvino":
        exact = {"INFERENCE_PRECISION_HINT": "f32"}
        result = openvino.Core().compile_model(str(path), "CPU", exact)(image)[0]
    else:
        result = onnxruntime.InferenceSession(str(path)).run(["output"], {"input": image})[0]
    return np.asarray(result)


@pytest.mark.parametrize("kind", ["onnx", "openvino", "torch-export"])
@pytest.mark.parametrize("size", [(8, 8), (97, 61), (33, 40), (128, 130)])
def test_an_artefact_gives_what_torch_gives_at_sizes_that_nobody_chose(
    kind: str, size: tuple[int, int], artefacts: dict[str, Path], restorer: Restorer
) -> None:
    image = picture(*size, batch=2) * 1.1 - 0.05
    expected = restorer(torch.from_numpy(image)).numpy()
    assert np.abs(run(artefacts[kind], kind, image) - expected).max() <= 1e-5


@pytest.mark.parametrize("kind", SUFFIXES)
def test_its_card_says_how_far_it_is_from_torch(kind: str, artefacts: dict[str, Path]) -> None:
    text = Path(f"{artefacts[kind]}.md").read_text("utf-8")
    rows = [line.split("|")[1:4] for line in text.splitlines() if "×" in line and "e-" in line]
    assert len(rows) == 5 or kind == "torch-export"  # which is exact: 0.0e+00
    assert all(float(row[2]) <= 1e-5 for row in rows)
    assert sum(int(n) % 4 > 0 for row in verify.SIZES for n in row[1:]) >= 4
    assert "Licence: not stated" in text
    assert text.endswith("# Tiny\n\n\nTrained on noise; free.\n")


def test_the_onnx_file_says_what_it_is(artefacts: dict[str, Path]) -> None:
    session = onnxruntime.InferenceSession(str(artefacts["onnx"]))
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, given.name) == ("input", "tensor(float)", "output")
    assert taken.shape[1] == 3
    assert all(isinstance(taken.shape[i], str) for i in (0, 2, 3))
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["task"] == "denoising"
    assert "sRGB" in metadata["input"]
    assert {"licence", "version", "output"} <= set(metadata)
    assert str(Path.cwd()).encode() not in artefacts["onnx"].read_bytes()


def test_the_openvino_file_says_what_it_is(artefacts: dict[str, Path]) -> None:
    model = openvino.Core().read_model(str(artefacts["openvino"]))
    assert model.get_rt_info(["mirnet", "task"]).astype(str) == "denoising"
    assert artefacts["openvino"].with_suffix(".bin").stat().st_size > 1000


def test_the_package_is_what_darktable_imports(
    artefacts: dict[str, Path], tmp_path: Path, restorer: Restorer
) -> None:
    with zipfile.ZipFile(artefacts["darktable"]) as package:
        package.extractall(tmp_path)
    (top,) = tmp_path.iterdir()
    assert top.name == "denoise-mirnet-tiny-1-5-v2"
    assert {each.name for each in top.iterdir()} == {"config.json", "model.onnx", "README.md"}
    config = json.loads((top / "config.json").read_text("utf-8"))
    assert config == {
        "id": top.name,
        "name": "MIRNet-v2 Tiny_1.5 (v2)",
        "description": "mirnet-v2 for denoising: Tiny_1.5 (v2)",
        "task": "denoise",
        "backend": "onnx",
        "version": config["version"],
        "tiling": True,
        "num_inputs": 1,
        "attributes": {"input_sizes": [256, 512, 1024]},
    }
    readme = (top / "README.md").read_text("utf-8")
    assert "Licence" in readme
    assert "Trained on noise; free." in readme
    # Tiles of one size that overlap by 64, at the photo's edges mirrored; the last ones reach over.
    image = np.pad(picture(300, 420), ((0, 0), (0, 0), (64, 300), (64, 300)), mode="symmetric")
    for tile in (256, 1024):
        part = np.ascontiguousarray(image[:, :, :tile, :tile])
        if part.shape[2:] != (tile, tile):
            missing = [(0, tile - length) for length in part.shape[2:]]
            part = np.pad(part, ((0, 0), (0, 0), *missing), mode="edge")
        result = run(top / "model.onnx", "onnx", part)
        assert np.abs(result - restorer(torch.from_numpy(part)).numpy()).max() <= 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "onnx", "-o", "HERE/a.xml"], "a file for onnx is called"),
        (["--format", "onnx", "-o", "HERE/nowhere/a.onnx"], "its folder does not exist"),
        (["--format", "onnx", "-o", "HERE/there.onnx"], "there.onnx: is already there"),
        (["--format", "onnx", "-o", "HERE/card.onnx"], "card.onnx.md: is already there"),
        (["--format", "openvino", "-o", "HERE/net.xml"], "net.bin: is already there"),
        (["--format", "tflite"], "tflite"),
    ],
)
def test_what_cant_be_written_is_refused_in_one_line(
    arguments: list[str], message: str, weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    mine = [tmp_path / name for name in ("there.onnx", "card.onnx.md", "net.bin")]
    for each in mine:
        each.write_text("mine")
    named = [each.replace("HERE", str(tmp_path)) for each in arguments]
    assert main(["export", str(weights), *named]) != 0
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == sorted(mine)
    assert all(each.read_text() == "mine" for each in mine)


def test_a_folder_and_what_came_meanwhile_are_not_written_over(
    weights: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, target = tmp_path / "a.pt2", tmp_path / "b.pt2"
    folder.mkdir()
    command = ["export", str(weights), "--format", "torch-export", "-o"]
    assert main([*command, str(folder), "--overwrite"]) == 1
    assert capsys.readouterr().err == f"mirnet: {folder}: is a folder; name a file\n"

    def meanwhile(*given: Any) -> Any:
        target.write_text("another's")
        return verify.verify(*given)

    monkeypatch.setattr(artefact, "verify", meanwhile)
    assert main([*command, str(target)]) == 1
    assert "b.pt2: is already there" in capsys.readouterr().err
    assert target.read_text() == "another's"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.pt2", "b.pt2"]


def test_darktable_has_no_place_for_another_task(tmp_path: Path, capsys: Capture) -> None:
    save_model(MIRNetV2(MODEL_CONFIG), tmp_path / "dark.safetensors", task="low-light")
    target = tmp_path / "dark.dtmodel"
    command = ["export", str(tmp_path / "dark.safetensors"), "--format", "darktable"]
    assert main([*command, "-o", str(target)]) == 1
    assert "this one is for low-light" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["dark.safetensors"]


def test_what_is_too_far_from_torch_is_not_written(
    weights: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefact, "TOLERANCE", -1.0)
    target = tmp_path / "a.pt2"
    assert main(["export", str(weights), "--format", "torch-export", "-o", str(target)]) == 1
    assert "not written" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_gives_nan_is_not_written(
    weights: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "_torch_export", lambda _: lambda image: image * np.float32("nan"))
    target = tmp_path / "a.pt2"
    assert main(["export", str(weights), "--format", "torch-export", "-o", str(target)]) == 1
    assert "is inf from torch" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stops_at", [0, 1, 2])
def test_an_export_that_is_killed_leaves_no_graph_with_other_weights(
    stops_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, there = tmp_path / "made", tmp_path / "there"
    files = artefact.files_of(there / "net.xml", "openvino")
    for folder in (made, there):
        folder.mkdir()
        for each in files:
            (folder / each.name).write_text(folder.name)
    flushed: list[int] = []
    moved: list[str] = []
    move = Path.replace
    monkeypatch.setattr("os.fsync", flushed.append)

    def replace(self: Path, target: Path) -> Path:
        if len(moved) == stops_at:
            raise KeyboardInterrupt
        moved.append(target.name)
        return move(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        artefact._put(made, files)
    left = {each.name: each.read_text() for each in there.iterdir()}
    assert len(flushed) == 3
    assert left == {"net.bin": "there"} if stops_at == 0 else set(left.values()) == {"made"}
    assert len(left) == max(1, stops_at)


def test_openvinos_word_for_a_full_disk_is_one_line(
    artefacts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("basic_ios::clear:\niostream error")

    monkeypatch.setattr(openvino, "save_model", full)
    with pytest.raises(MirnetError, match=r"^a\.xml: can't be written \(.*iostream error\); make"):
        write_openvino(artefacts["onnx"], tmp_path / "a.xml", {})


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
def test_a_full_disk_is_one_line(weights: Path, tmp_path: Path) -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000)); "
        "from mirnet.cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    for command in (
        ["convert", str(weights), str(tmp_path / "a.pth"), "--to", "released"],
        ["export", str(weights), "--format", "torch-export", "-o", str(tmp_path / "a.pt2")],
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *command], capture_output=True, text=True, check=False
        )
        assert (done.returncode, "File too large" in done.stderr) == (1, True)
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_card_that_is_no_text_is_named(weights: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "net.safetensors").write_bytes(weights.read_bytes())
    (tmp_path / "net.md").write_bytes("é".encode("latin-1"))
    target = str(tmp_path / "a.onnx")
    command = ["export", str(tmp_path / "net.safetensors"), "--format", "onnx", "-o", target]
    assert main(command) == 1
    assert "net.md: the card of the weights is no text in UTF-8" in capsys.readouterr().err


def test_the_exporters_logger_keeps_its_level(weights: Path, tmp_path: Path) -> None:
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    network = load_checkpoint(weights).build()
    write_onnx(Portable(network), tmp_path / "a.onnx", {"description": "tiny"})
    assert logger.level == before != logging.ERROR


def test_a_pt2_file_holds_no_paths_of_the_machine_that_made_it(artefacts: dict[str, Path]) -> None:
    with zipfile.ZipFile(artefacts["torch-export"]) as archive:
        content = b"".join(map(archive.read, archive.namelist()))
    assert str(Path(artefact.__file__).parent).encode() not in content
    assert str(Path(torch.__file__).parent).encode() not in content


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("super-resolution", "enlarge the picture first, by cubic interpolation"),
        ("dual-pixel-deblurring", "the left view's channels, then the right view's"),
        ("denoising", "any height and width from 8"),
        (None, "any height and width from 8"),
    ],
)
def test_what_a_network_is_to_be_given_is_told(task: str | None, told: str, weights: Path) -> None:
    checkpoint = replace(load_checkpoint(weights), task=task)
    assert told in artefact.describe(checkpoint, "net", "mine")["input"]


def test_without_the_extra_its_name_is_told(
    weights: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    target = tmp_path / "a.onnx"
    assert main(["export", str(weights), "--format", "onnx", "-o", str(target)]) == 1
    assert 'pip install "mirnet[export]"' in capsys.readouterr().err
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="verify"):
        verify.runner(tmp_path / "a.onnx", "onnx")


def test_a_package_of_the_other_network_says_so_and_what_is_not_known(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = MIRNetV1(MIRNetV1Config(width=8, recursive_groups=1, blocks=1))
    save_model(network, tmp_path / "one.safetensors", task="denoising")
    about = artefact.describe(load_checkpoint(tmp_path / "one.safetensors"), "one", "mine")
    (tmp_path / "one.onnx").write_bytes(b"")
    text = artefact.card(about, "darktable", [], None)
    write_darktable(tmp_path / "one.onnx", tmp_path / "one.dtmodel", about, text)
    with zipfile.ZipFile(tmp_path / "one.dtmodel") as package:
        config = json.loads(package.read("denoise-mirnet-one/config.json"))
        assert config["name"] == "MIRNet-v1 one"
        assert "is not stated; ask whoever made them" in package.read(
            "denoise-mirnet-one/README.md"
        ).decode("utf-8")
