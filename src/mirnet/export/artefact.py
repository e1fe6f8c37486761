"""An exported network: written, verified, and described on a card; whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mirnet import __version__
from mirnet.atomic import remove_leftovers, temporary_folder
from mirnet.checkpoints.store import Checkpoint
from mirnet.choices import ExportFormat
from mirnet.errors import MirnetError
from mirnet.export.formats import (
    INPUT,
    OUTPUT,
    write_darktable,
    write_onnx,
    write_openvino,
    write_torch_export,
)
from mirnet.export.portable import SMALLEST, Portable
from mirnet.export.verify import TOLERANCE, Check, verify

SUFFIXES: dict[ExportFormat, str] = {
    "onnx": ".onnx",
    "openvino": ".xml",
    "torch-export": ".pt2",
    "darktable": ".dtmodel",
}

BEFORE = {
    "super-resolution": "; enlarge the picture first, by cubic interpolation: the size stays",
    "dual-pixel-deblurring": "; the left view's channels, then the right view's",
}
"""What networks for a task are to be given, where that isn't just the picture."""


def files_of(path: Path, kind: ExportFormat) -> tuple[Path, ...]:
    """What an export to ``path`` writes: it, OpenVINO's weights, and its card."""
    weights = (path.with_suffix(".bin"),) if kind == "openvino" else ()
    return (*weights, path, path.with_name(f"{path.name}.md"))


def export(
    checkpoint: Checkpoint,
    path: Path,
    kind: ExportFormat,
    *,
    name: str,
    licence: str,
    weights_card: str | None = None,
    overwrite: bool = True,
) -> list[Check]:
    """Write a network for another program, run it beside torch, and write its card.

    Args:
        checkpoint: the weights.
        path: the file to write; what else ``files_of`` names goes beside it.
        kind: the format.
        name: what the weights are called.
        licence: under which they may be used.
        weights_card: what they were trained on, and its terms, in Markdown, if that is known.
        overwrite: whether what is there is written over.

    Returns:
        How far it is from torch, at five sizes.

    Raises:
        MirnetError: it can't be exported, is further from torch than 1e-5, or must not be written
            over what is there; nothing is written.
    """
    require_free(path, kind, overwrite=overwrite)
    if kind == "darktable" and checkpoint.task != "denoising":
        raise MirnetError(
            f"{path}: darktable takes networks for denoising, and enlarging ones; this one is for "
            f"{checkpoint.task or 'an unknown task'}"
        )
    network = checkpoint.build()
    about = describe(checkpoint, name, licence)
    remove_leftovers(path.parent)
    with temporary_folder(path.parent) as folder:
        staged = folder / path.name
        onnx_file = staged if kind == "onnx" else folder / "model.onnx"
        if kind == "torch-export":
            write_torch_export(Portable(network), staged, about)
        else:
            write_onnx(Portable(network), onnx_file, about)
        if kind == "openvino":
            write_openvino(onnx_file, staged, about)
        if kind == "darktable":
            checks = verify(onnx_file, "onnx", network)
            write_darktable(onnx_file, staged, about, card(about, kind, checks, weights_card))
        checks = verify(staged, kind, network)
        if (worst := max(check.error for check in checks)) > TOLERANCE:
            raise MirnetError(
                f"{path}: is {worst:.1e} from torch where {TOLERANCE:.0e} is allowed; not written. "
                "Please report it, with the versions that `mirnet doctor` shows"
            )
        files = files_of(path, kind)
        described = folder / files[-1].name
        described.write_text(card(about, kind, checks, weights_card), "utf-8")
        require_free(path, kind, overwrite=overwrite)  # another export may have ended meanwhile
        _put(folder, files)
    return checks


def require_free(path: Path, kind: ExportFormat, *, overwrite: bool) -> None:
    """Raise MirnetError if an export can't go to ``path``, or is there and must stay."""
    there = [each for each in files_of(path, kind) if each.exists()]
    if folder := next((each for each in there if each.is_dir()), None):
        raise MirnetError(f"{folder}: is a folder; name a file")
    if there and not overwrite:
        raise MirnetError(f"{there[0]}: is already there; name another, or add --overwrite")


def _put(folder: Path, files: tuple[Path, ...]) -> None:
    """Move what is whole in ``folder`` to its place.

    Of an export that is written over, all but the first file goes before: a process that is killed
    between two moves leaves one that lacks a file, and never a graph with another one's weights.
    """
    for each in files:
        with (folder / each.name).open("rb+") as file:
            os.fsync(file.fileno())
    for each in files[1:]:
        each.unlink(missing_ok=True)
    for each in files:
        (folder / each.name).replace(each)


def describe(checkpoint: Checkpoint, name: str, licence: str) -> dict[str, str]:
    """What an artefact says of itself, in the metadata of its format."""
    config = checkpoint.config
    return {
        "name": name,
        "network": config.NETWORK.replace("mirnet", "MIRNet"),
        "task": checkpoint.task or "",
        "description": f"{config.NETWORK} for {checkpoint.task or 'an unknown task'}: {name}",
        "licence": licence,
        "version": __version__,
        "input": f"{INPUT}: float32 (batch, {config.in_channels}, height, width), sRGB-encoded RGB "
        f"in [0, 1], any height and width from {SMALLEST}{BEFORE.get(checkpoint.task or '', '')}",
        "output": f"{OUTPUT}: float32 (batch, {config.out_channels}, height, width), the same "
        "encoding, clipped to [0, 1]",
        "made_by": f"mirnet {__version__}",
    }


def card(
    about: Mapping[str, str], kind: ExportFormat, checks: list[Check], weights_card: str | None
) -> str:
    """The card of an artefact, in Markdown, with that of its weights."""
    trained = weights_card or (
        "What the weights were trained on, and its terms, is not stated; ask whoever made them.\n"
    )
    of_weights = "".join(
        line for line in trained.splitlines(keepends=True) if not line.startswith("![")
    )  # pictures stay where they are
    rows = "\n".join(
        f"| {check.batch} | {check.height}×{check.width} | {check.error:.1e} |" for check in checks
    )
    return f"""# {about["name"]}

{about["description"]}, exported as {kind} by {about["made_by"]}.

- Licence: {about["licence"]}
- Input: `{about["input"]}`
- Output: `{about["output"]}`
- Padding to the network's multiple, and clipping, are in the graph: give it pictures as they are.
- The network looks at the whole picture. A program that cuts a photo into tiles gets a slightly
  different result in each; `mirnet restore` gives that of one piece at any size.

What the weights were trained on, and its terms, stands at the end.

## Difference to PyTorch

The largest in a value, in [0, 1], on random pictures, in float32 on a CPU:

| batch | height × width | difference |
|---|---|---|
{rows}

---

{of_weights}"""
