"""``mirnet profile``: what a network costs (Table 1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, get_args

from cyclopts import Parameter

from mirnet.choices import Device, Precision, Preset
from mirnet.models.config import Block, Fusion

if TYPE_CHECKING:
    from mirnet.models.network_config import NetworkConfig

RUNS = 10


def profile(
    *,
    preset: Preset | None = None,
    groups: Annotated[str | None, Parameter(allow_leading_hyphen=False)] = None,
    in_channels: int | None = None,
    width: int | None = None,
    streams: int | None = None,
    columns: int | None = None,
    blocks: int | None = None,
    fusion: Fusion | None = None,
    block: Block | None = None,
    image_size: int = 256,
    table: Annotated[bool, Parameter(negative=())] = False,
    measure: Annotated[bool, Parameter(negative=())] = False,
    runs: int | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    json_output: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Count parameters, multiply-accumulates, convolutions and activations.

    Nothing is computed unless you ask for a measurement, so that any size costs nothing. The
    second half compares the fusions of Table 9 at 64 channels.

    Parameters
    ----------
    preset
        The network to start from, paper unless told; mirnet-v1 is the one that the paper compares
        itself to.
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
    table
        Table 1: every preset, beside what the paper printed.
    measure
        Restore such an image on this machine too, in a process of its own, and print the median
        time and the peak memory.
    runs
        How many times it is timed; 10 unless told.
    device
        Where it is timed.
    precision
        Arithmetic in which it is timed.
    json_output
        Print JSON instead of a table.
    """
    from mirnet.errors import ConfigError
    from mirnet.inference.cost import MOST_RUNS
    from mirnet.models.complexity import MOST
    from mirnet.models.network_config import shown

    if not measure and (runs is not None or (device, precision) != ("auto", "auto")):
        raise ConfigError("--runs, --device, --precision: are of a measurement; add --measure")
    count = RUNS if runs is None else runs
    for name, value, most in (("image-size", image_size, MOST), ("runs", count, MOST_RUNS)):
        if not 1 <= value <= most:
            raise ConfigError(f"--{name}: must be from 1 to {most}, got {shown(value)}")

    def facts_of(config: NetworkConfig) -> dict[str, Any]:
        facts = _counts(config, image_size)
        if measure:
            facts |= _measured(config, image_size, device, precision, count)
        return facts

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
    if table:
        if given := [*(["preset"] if preset else []), *changes]:
            option = given[0].replace("_", "-")
            raise ConfigError(f"--table: is of all the presets; leave --{option} out")
        _print_table(facts_of, image_size, json_output=json_output)
        return
    _print_one(preset or "paper", changes, facts_of, image_size, json_output=json_output)


def _print_one(
    preset: Preset, changes: dict[str, Any], facts_of: Any, image_size: int, *, json_output: bool
) -> None:
    from mirnet.models.networks import config_from_dict, config_to_dict
    from mirnet.models.networks import preset as preset_of

    config = config_from_dict({**config_to_dict(preset_of(preset)), **changes})
    facts, fusions = facts_of(config), _fusions()
    if json_output:
        print(json.dumps({"config": config_to_dict(config), **facts, "fusions_64": fusions}))
        return
    title = ", ".join([preset, *(f"{name}={value}" for name, value in changes.items())])
    network = "MIRNet (v1)" if config.NETWORK == "mirnet-v1" else "MIRNet-v2"
    print(f"{network} ({title}) on {config.in_channels}×{image_size}×{image_size}")
    print(f"  parameters    {facts['parameters']:>16,}")
    print(f"  MACs          {facts['macs'] / 1e9:>16,.2f} G")
    modules = facts["convolution_modules"]
    print(f"  convolutions  {facts['convolutions']:>16,}  ({modules} modules)")
    print(f"  activations   {facts['activations'] / 1e6:>16,.2f} M")
    if "seconds" in facts:
        print(f"  time          {facts['seconds'] * 1e3:>16,.1f} ms  ({_where(facts)})")
        if facts["memory"] is not None:
            print(f"  memory        {facts['memory'] / 2**20:>16,.0f} MiB")
    print("Fusion of two streams of 64 channels, parameters")
    for name, parameters in fusions.items():
        print(f"  {name:<13} {parameters:>16,}")


def _print_table(facts_of: Any, image_size: int, *, json_output: bool) -> None:
    from mirnet.evaluation.published import published
    from mirnet.models.networks import preset as preset_of

    rows = {name: facts_of(preset_of(name)) for name in get_args(Preset)}
    if json_output:
        print(json.dumps({"image_size": image_size, "networks": rows}))
        return
    print(f"on {image_size}×{image_size}; MACs are what the paper calls FLOPs")
    print(f"{'':<12}{'params (M)':>12}{'MACs (G)':>10}{'convs':>7}{'act. (M)':>10}", end="")
    is_measured = "seconds" in next(iter(rows.values()))
    print(f"{'time (ms)':>11}{'memory (MiB)':>14}" if is_measured else "")
    for name, facts in rows.items():
        print(
            f"{name:<12}{facts['parameters'] / 1e6:>12.2f}{facts['macs'] / 1e9:>10.1f}"
            f"{facts['convolutions']:>7}{facts['activations'] / 1e6:>10.1f}",
            end="",
        )
        memory = f"{facts['memory'] / 2**20:.0f}" if facts.get("memory") else "–"
        print(f"{facts['seconds'] * 1e3:>11.1f}{memory:>14}" if is_measured else "")
    if is_measured:
        print(f"measured on {_where(next(iter(rows.values())))}")
    paper = published()[1]
    for name, values in paper.rows.items():
        numbers = dict(zip(paper.columns, values, strict=True))
        print(
            f"the paper's {name}: {numbers['Params (M)']:g} M, {numbers['FLOPs (B)']:g} B, "
            f"{numbers['Convs']:g} convolutions, {numbers['Activations (M)']:g} M activations, "
            f"{numbers['Inference time (ms)']:g} ms at 256×256"
        )
    print(paper.note)


def _counts(config: NetworkConfig, image_size: int) -> dict[str, Any]:
    from dataclasses import asdict

    from mirnet.inference.padding import padded_size
    from mirnet.models.complexity import complexity

    return asdict(complexity(config, *padded_size(image_size, image_size, config.multiple)))


def _measured(
    config: NetworkConfig, image_size: int, device: Device, precision: Precision, runs: int
) -> dict[str, Any]:
    from dataclasses import asdict

    from mirnet.inference.cost import measure_apart

    size = (image_size, image_size)
    return asdict(measure_apart(config, *size, device=device, precision=precision, runs=runs))


def _where(facts: dict[str, Any]) -> str:
    threads = f", {facts['threads']} threads" if facts["device"] == "cpu" else ""
    return f"{facts['device']}, {facts['precision']}{threads}, median of {facts['runs']}"


def _fusions() -> dict[str, int]:
    from mirnet.models.complexity import fusion_parameters

    return {kind: fusion_parameters(kind) for kind in get_args(Fusion)}


def _groups(text: str | None) -> tuple[int, ...] | None:
    from mirnet.errors import ConfigError
    from mirnet.models.network_config import shown

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--groups: must be whole numbers with commas, got {shown(text)}"
        ) from error
