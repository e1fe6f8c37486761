"""Write a network as ONNX, OpenVINO, torch.export or a darktable package."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from mirnet.errors import MirnetError, MissingDependencyError, one_line
from mirnet.export.portable import Portable

OPSET = 18
TILES = (256, 512, 1024)
"""Heights and widths of the tiles that darktable may choose from."""
INPUT, OUTPUT = "input", "output"


def exported(network: Portable) -> ExportedProgram:
    """The network's graph with batch, height and width left open."""
    # No multiple of the network's: a size that happens to be one would be taken for a rule.
    example = torch.zeros(2, network.network.config.in_channels, 43, 54)
    size = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(network, (example,), dynamic_shapes={"image": size})


def write_torch_export(network: Portable, path: Path, about: Mapping[str, str]) -> None:
    """A ``.pt2`` file; what it is stands beside its graph as ``about.json``."""
    program = exported(network)
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            node.meta.pop("stack_trace", None)  # paths of the machine that exported
    content = io.BytesIO()  # of a full disk, torch's own writer tells nothing that one could act on
    torch.export.save(program, content, extra_files={"about.json": json.dumps(dict(about))})
    path.write_bytes(content.getvalue())


def write_onnx(network: Portable, path: Path, about: Mapping[str, str]) -> None:
    """An ``.onnx`` file. Raises MissingDependencyError without the extra ``export``."""
    try:
        import onnx  # noqa: PLC0415
        import onnxscript  # noqa: F401, PLC0415
    except ImportError as error:
        raise _missing(error) from error
    with redirect_stdout(io.StringIO()), warnings.catch_warnings(), _errors_only("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            exported(network),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
        )
    assert program is not None
    model = program.model_proto
    for node in (*model.graph.node, *model.graph.value_info, *model.graph.input):
        del node.metadata_props[:]  # where each came from in torch, on the machine that exported
    for function in model.functions:
        del function.metadata_props[:]
    model.doc_string = about["description"]
    onnx.helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def write_openvino(onnx_file: Path, path: Path, about: Mapping[str, str]) -> None:
    """An ``.xml`` file with its ``.bin`` beside it, from an ONNX file; weights stay float32."""
    openvino = _openvino()
    model = openvino.convert_model(onnx_file)
    for name, value in about.items():
        model.set_rt_info(value, ["mirnet", name])
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # "iostream error": what a full disk comes to
        raise MirnetError(
            f"{path.name}: can't be written ({one_line(error)}); make room"
        ) from error


def write_darktable(onnx_file: Path, path: Path, about: Mapping[str, str], card: str) -> None:
    """A ``.dtmodel`` package, which darktable 5.6 and later import from its preferences.

    The network is for denoising.
    """
    name = re.sub(r"[^a-z0-9]+", "-", f"denoise-mirnet-{about['name']}".lower()).strip("-")
    config: dict[str, Any] = {
        "id": name,
        "name": f"{about['network']} {about['name']}",
        "description": about["description"],
        "task": "denoise",
        "backend": "onnx",
        "version": about["version"],
        "tiling": True,
        "num_inputs": 1,
        "attributes": {"input_sizes": list(TILES)},
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(f"{name}/config.json", json.dumps(config, indent=2) + "\n")
        package.write(onnx_file, f"{name}/model.onnx")
        package.writestr(f"{name}/README.md", card)


@contextmanager
def _errors_only(name: str) -> Iterator[None]:
    """Let a logger tell of errors alone, for the block."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _openvino() -> Any:
    try:
        import openvino  # noqa: PLC0415
    except ImportError as error:
        raise _missing(error) from error
    return openvino


def _missing(error: ImportError) -> MissingDependencyError:
    return MissingDependencyError(
        f'an export needs {error.name}, which is not installed; pip install "mirnet[export]"'
    )
