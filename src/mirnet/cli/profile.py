"""``mirnet profile``: what a network costs (Table 1)."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from mirnet.choices import Preset
from mirnet.models.config import Block, Fusion, MIRNetV2Config


def profile(
    *,
    preset: Preset = "paper",
    groups: Annotated[str | None, Parameter(allow_leading_hyphen=False)] = None,
    in_channels: int | None = None,
    width: int | None = None,
    streams: int | None = None,
    columns: int | None = None,
    blocks: int | None = None,
    fusion: Fusion | None = None,
    block: Block | None = None,
    image_size: int = 256,
    json_output: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Count parameters, multiply-accumulates, convolutions and activations.

    Nothing is computed, so that any size costs nothing. The second half compares the fusions of
    Table 9 at 64 channels.

    Parameters
    ----------
    preset
        The network to start from.
    groups
        Groups of the 3×3 convolutions in each recursive residual group, such as 1,1,1,1.
    in_channels
        6 for dual-pixel photos, whose network adds features instead of the image.
    width
        Channels of the full-resolution stream.
    streams
        Parallel resolutions, 1 to 3.
    columns
        Rounds of residual blocks and fusion, 1 to 3.
    blocks
        Multi-scale residual blocks in each group.
    fusion
        How streams are joined.
    block
        The residual block on each stream.
    image_size
        Height and width of the image, in pixels.
    json_output
        Print JSON instead of a table.
    """
    from dataclasses import asdict

    from mirnet.inference.padding import padded_size
    from mirnet.models.complexity import complexity

    changes = {
        "in_channels": in_channels,
        "width": width,
        "streams": streams,
        "columns": columns,
        "blocks": blocks,
        "fusion": fusion,
        "block": block,
        "groups": _groups(groups),
        "residual": "features" if in_channels not in (None, 3) else None,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    config = MIRNetV2Config.preset(preset).with_changes(**changes)
    counts = complexity(config, *padded_size(image_size, image_size, config.multiple))
    fusions = _fusions()
    if json_output:
        print(json.dumps({"config": config.to_dict(), **asdict(counts), "fusions_64": fusions}))
        return
    title = ", ".join([preset, *(f"{name}={value}" for name, value in changes.items())])
    print(f"MIRNet-v2 ({title}) on {config.in_channels}×{image_size}×{image_size}")
    print(f"  parameters    {counts.parameters:>16,}")
    print(f"  MACs          {counts.macs / 1e9:>16,.2f} G")
    print(f"  convolutions  {counts.convolutions:>16,}  ({counts.convolution_modules} modules)")
    print(f"  activations   {counts.activations / 1e6:>16,.2f} M")
    print("Fusion of two streams of 64 channels, parameters")
    for name, parameters in fusions.items():
        print(f"  {name:<13} {parameters:>16,}")


def _fusions() -> dict[str, int]:
    from mirnet.models.skff import make_fusion

    return {
        kind: sum(parameter.numel() for parameter in make_fusion(kind, 64).parameters())
        for kind in ("skff", "concat", "sum")
    }


def _groups(text: str | None) -> tuple[int, ...] | None:
    from mirnet.errors import ConfigError

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"groups: must be whole numbers with commas, got {text!r}") from error
