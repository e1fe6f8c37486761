"""``mirnet convert``: released weights into a mirnet file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mirnet.choices import Arithmetic, Layout, TaskName


def convert(
    source: Path,
    target: Path | None = None,
    *,
    to: Layout = "mirnet",
    task: TaskName | None = None,
    dtype: Arithmetic = "float32",
    overwrite: bool = False,
) -> None:
    """Convert a released MIRNet-v2 checkpoint (.pth) to one safetensors file, or the other way.

    Nothing in the file is run: a pickle that holds code is refused. The released weights have a
    non-commercial licence; converting them doesn't change that.

    Parameters
    ----------
    source
        The checkpoint: a .pth file, or a .safetensors file to store anew.
    target
        The file to write; by default the source's name with .safetensors, or .pth for released.
    to
        The layout: mirnet's own, or that of the released files, for programs that load those. It
        holds the weights alone: no task, no provenance, and not every config.
    task
        What the weights are for, to be noted in the file.
    dtype
        How the weights are stored.
    overwrite
        Write over a file that is already there.
    """
    from mirnet.checkpoints.convert import write_released
    from mirnet.checkpoints.load import load_checkpoint
    from mirnet.checkpoints.store import save_model
    from mirnet.errors import CheckpointError
    from mirnet.inference.devices import DTYPES

    if to == "released" and task is not None:
        raise CheckpointError("--task: can't be noted in the released layout; leave it out")
    target = target or source.with_suffix(".pth" if to == "released" else ".safetensors")
    if target.exists() and not overwrite:
        raise CheckpointError(f"{target}: is already there; name another, or add --overwrite")
    checkpoint = load_checkpoint(source)
    model = checkpoint.build()
    if to == "released":
        weights = {name: value.to(DTYPES[dtype]) for name, value in model.state_dict().items()}
        write_released(replace(checkpoint, weights=weights), target)
    else:
        save_model(
            model,
            target,
            task=task or checkpoint.task,
            provenance=checkpoint.provenance,
            dtype=DTYPES[dtype],
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{target}: {parameters:,} parameters, {checkpoint.config.in_channels} input channels")
