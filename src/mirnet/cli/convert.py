"""``mirnet convert``: released weights into a mirnet file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def convert(
    source: Path,
    target: Path | None = None,
    *,
    task: Literal[
        "denoising", "dual-pixel-deblurring", "super-resolution", "low-light", "retouching"
    ]
    | None = None,
    dtype: Literal["float32", "float16", "bfloat16"] = "float32",
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
    import torch

    from mirnet.checkpoints.load import load_checkpoint
    from mirnet.checkpoints.store import save_model
    from mirnet.errors import CheckpointError

    target = target or source.with_suffix(".safetensors")
    if target.exists() and not overwrite:
        raise CheckpointError(f"{target}: is already there; name another, or add --overwrite")
    dtypes = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    checkpoint = load_checkpoint(source)
    model = checkpoint.build()
    save_model(
        model,
        target,
        task=task or checkpoint.task,
        provenance=checkpoint.provenance,
        dtype=dtypes[dtype],
    )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    print(f"{target}: {parameters:,} parameters, {checkpoint.config.in_channels} input channels")
