"""``mirnet restore``: photos in, restored photos out."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from mirnet.errors import MirnetError
from mirnet.tasks.registry import TASKS


def restore(
    *paths: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("restored"),
    task: Literal[
        "denoising", "dual-pixel-deblurring", "super-resolution", "low-light", "retouching"
    ] = "denoising",
    weights: str | None = None,
    strength: float = 1.0,
    overwrite: bool = False,
    depth: Literal["keep", "8", "16"] = "keep",
    format: Literal["keep", "png", "jpg", "tif", "webp", "avif"] = "keep",
    quality: int = 95,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
) -> int:
    """Restore photos: PNG, JPEG, TIFF, WebP and AVIF, 8 or 16 bit, metadata kept.

    Inputs are never changed. What is already done is skipped, so that a batch that was stopped
    goes on where it was. A photo that fails doesn't stop the others; failures are listed at the
    end and make the exit status 1.

    Parameters
    ----------
    paths
        Photos, folders (searched with all below them) or patterns such as "shots/*.jpg".
    output
        The folder for the results; it mirrors the tree of a folder that was given.
    task
        What to restore.
    weights
        A weights file (.safetensors, or a released .pth) or a name that `mirnet weights` lists,
        instead of the task's own.
    strength
        From 0 (the input) to 1 (fully restored).
    overwrite
        Restore again what is already there.
    depth
        Bits per channel of the results; as the input has, unless told.
    format
        File format of the results; as the input has, unless told.
    quality
        Of JPEG, WebP and AVIF, from 1 to 100.
    device
        Where to compute; auto takes a GPU if there is one.
    precision
        Arithmetic of the network; auto is the fastest that is safe.
    """
    from mirnet.cli.batch import RestoreFile, plan, run

    if not paths:
        raise MirnetError("restore: name at least one photo or folder; see `mirnet restore --help`")
    if not 0 <= strength <= 1:
        raise MirnetError(f"--strength: must be from 0 to 1, got {strength:g}")
    if not 1 <= quality <= 100:
        raise MirnetError(f"--quality: must be from 1 to 100, got {quality}")
    chosen = _weights(task, weights)
    jobs = plan(paths, output, suffix=None if format == "keep" else f".{format}")

    def load() -> RestoreFile:
        from mirnet.inference.restorer import Restorer

        restorer = Restorer.from_pretrained(chosen, device=device, precision=precision)
        return partial(restorer.restore_file, strength=strength, quality=quality, depth=depth)

    summary = run(jobs, load, overwrite=overwrite)
    print(summary.text(), file=sys.stderr)
    return 1 if summary.failures else 0


def _weights(task: str, weights: str | None) -> str:
    """The weights that were asked for, or the task's own."""
    if weights is not None:
        return weights
    own = TASKS[task].weights
    if own is None:
        raise MirnetError(
            f"--task {task}: mirnet ships no weights for it yet; give your own or released ones "
            "with --weights FILE"
        )
    return own
