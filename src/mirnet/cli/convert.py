"""``mirnet convert``: released weights into a mirnet file."""

from __future__ import annotations

from pathlib import Path

from mirnet.choices import Arithmetic, TaskName


def convert(
    source: Path,
    target: Path | None = None,
    *,
    task: TaskName | None = None,
    dtype: Arithmetic = "float32",
    overwrite: bool = False,
) -> None:
    """Convert a released MIRNet-v2 checkpoint (.pth) to one safetensors file.

    Nothing in the file is run: a pickle that holds code is refused. The released weights have a
    non-commercial licence; converting them doesn't change that.

    Parameters
    ----------
    source
        The checkpoint: a .pth file, or a .safetensors file to store anew.
    target
        The file to write; by default the source's name with .safetensors.
    task
        What the weights are for, to be noted in the file.
    dtype
        How the weights are stored.
    overwrite
        Write over a file that is already there.
    """
    from mirnet.checkpoints.load import load_checkpoint
    from mirnet.checkpoints.store import save_model
    from mirnet.errors import CheckpointError
    from mirnet.inference.devices import DTYPES

    target = target or source.with_suffix(".safetensors")
    if target.exists() and not overwrite:
        raise CheckpointError(f"{target}: is already there; name another, or add --overwrite")
    checkpoint = load_checkpoint(source)
    model = checkpoint.build()
    save_model(
        model,
        target,
        task=task or checkpoint.task,
        provenance=checkpoint.provenance,
        dtype=DTYPES[dtype],
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{target}: {parameters:,} parameters, {checkpoint.config.in_channels} input channels")
