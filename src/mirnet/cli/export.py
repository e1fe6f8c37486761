"""``mirnet export``: weights for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mirnet.choices import ExportFormat


def export(
    weights: str = "denoising",
    *,
    format: ExportFormat,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    licence: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write weights as ONNX, OpenVINO, torch.export or a package for darktable.

    Any batch, height and width; padding and clipping are in the graph. What was written is run at
    five sizes beside torch, and the differences stand on a card beside it.

    Parameters
    ----------
    weights
        A weights file, or a name that `mirnet weights` lists.
    format
        The format; darktable imports its package under preferences, AI.
    output
        The file to write; by default the weights' name here, with the format's suffix.
    licence
        Under which the weights may be used, to be noted; that of mirnet's own is known.
    overwrite
        Write over files that are already there.
    """
    from mirnet.checkpoints.catalog import CATALOG, PACKAGED, resolve
    from mirnet.checkpoints.load import load_checkpoint
    from mirnet.errors import MirnetError
    from mirnet.export.artefact import SUFFIXES, require_free
    from mirnet.export.artefact import export as write

    path = resolve(weights)
    suffix = SUFFIXES[format]
    target = (output or Path(path.stem + suffix)).expanduser()
    if target.suffix != suffix:
        raise MirnetError(f"--output: a file for {format} is called …{suffix}, not {target.name}")
    require_free(target, format, overwrite=overwrite)
    if not target.parent.is_dir():
        raise MirnetError(f"{target}: its folder does not exist; make it first")
    is_ours = path.parent == PACKAGED and path.stem in CATALOG
    stated = licence or ("Apache-2.0" if is_ours else "not stated; ask whoever made the weights")
    checks = write(
        load_checkpoint(path),
        target,
        format,
        name=path.stem,
        licence=stated,
        weights_card=_card_of(path),
        overwrite=overwrite,
    )
    worst = max(check.error for check in checks)
    print(f"{target}: at most {worst:.1e} from torch at {len(checks)} sizes; card: {target}.md")


def _card_of(weights: Path) -> str | None:
    """What stands beside weights about them."""
    from mirnet.errors import MirnetError

    card = weights.with_suffix(".md")
    try:
        return card.read_text("utf-8") if card.is_file() else None
    except UnicodeDecodeError as error:
        raise MirnetError(
            f"{card}: the card of the weights is no text in UTF-8; store it as such, or move it"
        ) from error
