"""``report.md``: a run as a page that a person reads, made anew from what the run has written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mirnet.atomic import replacing
from mirnet.training.log import WAITING

Lines = list[dict[str, Any]]


def write_report(folder: Path) -> Path:
    """Write ``report.md`` and its curves into the folder of a run; return its path."""
    recipe = json.loads((folder / "recipe.json").read_text("utf-8"))
    starts = _lines(folder / "environment.jsonl")
    log = _lines(folder / "log.jsonl")
    train = [line for line in log if line["kind"] == "train"]
    scored = [line for line in log if line["kind"] == "validation"]
    curves = folder / "curves"
    curves.mkdir(exist_ok=True)
    parts = [
        f"# {recipe['task']}: {folder.name}",
        _summary(recipe, train),
        "## Curves",
        *_curves(curves, train, scored),
        "## Scores",
        _scores(scored, recipe["validation"]["protocol"]),
        *_samples(folder),
        "## Speed",
        _speed(train),
        "## Stages",
        _stages(recipe),
        "## Where it ran",
        _starts(starts),
        "## Recipe",
        "```json\n" + json.dumps(recipe, indent=2, ensure_ascii=False) + "\n```",
    ]
    path = folder / "report.md"
    with replacing(path) as temporary:
        temporary.write_text("\n\n".join(part for part in parts if part) + "\n", "utf-8")
    return path


def _summary(recipe: dict[str, Any], train: Lines) -> str:
    steps = sum(stage["steps"] for stage in recipe["schedule"]["stages"])
    if not train:
        return f"No step of {steps:,} is logged yet."
    done = train[-1]["step"]
    samples, left = 0, done
    for stage in recipe["schedule"]["stages"]:
        samples += min(left, stage["steps"]) * stage["batch_size"]
        left = max(left - stage["steps"], 0)
    spent = timedelta(seconds=round(_seconds(train)))
    skipped = sum(line.get("skipped", 0) for line in train)
    state = "finished" if done == steps else f"{done / steps:.0%} done"
    return (
        f"{state.capitalize()}: {done:,} of {steps:,} steps, {samples:,} samples seen in {spent}"
        + (f", {skipped:,} steps skipped" if skipped else "")
        + f". Data: {', '.join(source['path'] for source in recipe['data']['sources'])}."
    )


def _curves(folder: Path, train: Lines, scored: Lines) -> list[str]:
    if not train:
        return []
    found = []
    steps = [line["step"] for line in train]
    for key, title, scale in (
        ("loss", "Loss", "log"),
        ("lr", "Learning rate", "linear"),
        ("gradient_norm", "Gradient norm", "log"),
    ):
        series = {"": (steps, [line[key] for line in train])}
        found.append(_plot(folder / f"{key}.png", series, title, scale))
    places = list(dict.fromkeys(line["folder"] for line in scored if "folder" in line))
    series = {}
    for place in places:
        lines = [line for line in scored if line.get("folder") == place]
        series[place] = ([line["step"] for line in lines], [line["psnr"] for line in lines])
    if series:
        found.append(_plot(folder / "psnr.png", series, "PSNR, dB", "linear"))
    return found


def _plot(
    path: Path,
    series: Mapping[str, tuple[Sequence[int], Sequence[float | None]]],
    title: str,
    scale: str,
) -> str:
    figure = Figure(figsize=(7, 2.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    for name, (steps, values) in series.items():
        numbers = [float("nan") if value is None else value for value in values]
        mark = "o" if len(numbers) < 20 else ""
        axes.plot(steps, numbers, marker=mark, markersize=3, linewidth=1.2, label=name)
    positive = [value for _, values in series.values() for value in values if value]
    if scale == "log" and positive and min(positive) > 0:
        axes.set_yscale("log")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("step", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if any(series):
        axes.legend(fontsize=8, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
    return f"![{title}](curves/{path.name})"


def _scores(scored: Lines, protocol: str) -> str:
    failed = [line for line in scored if "failed" in line]
    said = [f"Validation failed at step {line['step']}: {line['failed']}." for line in failed[-1:]]
    lines = [line for line in scored if "folder" in line]
    if not lines:
        return "\n\n".join(said or ["Nothing was validated."])
    rows = []
    for place in dict.fromkeys(line["folder"] for line in lines):
        here = [line for line in lines if line["folder"] == place]
        best, last = max(here, key=lambda line: line["psnr"] or 0), here[-1]
        rows.append(
            (
                place,
                _decimals(last.get("input_psnr"), 2),
                _decimals(last.get("input_ssim"), 4),
                _decimals(last["psnr"], 2),
                _decimals(last["ssim"], 4),
                f"{_decimals(best['psnr'], 2)} (step {best['step']:,})",
            )
        )
    heads = ("folder", "PSNR of input", "SSIM of input", "PSNR, last", "SSIM, last", "PSNR, best")
    return "\n\n".join([f"By the protocol `{protocol}`.", _table(heads, rows), *said])


def _decimals(value: float | None, places: int) -> str:
    """A number; a dash for what is not finite, as the log has none for it."""
    return "–" if value is None else f"{value:.{places}f}"


def _samples(folder: Path) -> list[str]:
    pictures = sorted((folder / "samples").glob("*.png"))
    if not pictures:
        return []
    shown = [f"![{picture.stem}](samples/{picture.name})" for picture in pictures]
    return ["## Pictures", "Input, output and target, at the last validation.", *shown]


def _speed(train: Lines) -> str:
    if not train:
        return ""
    rows, warned = [], False
    for size in dict.fromkeys(line["patch_size"] for line in train):
        here = [line for line in train if line["patch_size"] == size]
        seconds = sorted(line["step_s"] for line in here)[len(here) // 2]
        images = sorted(line["images_per_s"] for line in here)[len(here) // 2]
        waiting = sorted(line["data_wait_share"] for line in here)[len(here) // 2]
        warned |= waiting > WAITING
        rows.append((str(size), f"{seconds:.3g} s", f"{images:.3g}", f"{waiting:.0%}"))
    said = _table(("patch", "a step", "samples a second", "waiting for data"), rows)
    return said + (
        "\n\nData is the bottleneck: raise `data.workers`, or train on a faster disk."
        if warned
        else ""
    )


def _stages(recipe: dict[str, Any]) -> str:
    rows = [
        (
            f"{stage['steps']:,}",
            str(stage["patch_size"]),
            str(stage["batch_size"]),
            str(stage["shrink"]),
        )
        for stage in recipe["schedule"]["stages"]
    ]
    return _table(("steps", "patch", "batch", "shrunk"), rows)


def _starts(starts: Lines) -> str:
    rows = [
        (
            f"{start['step']:,}",
            str(start["processes"]),
            start["device"],
            start["precision"],
            f"mirnet {start['mirnet']}, torch {start['torch']}, Python {start['python']}",
        )
        for start in starts
    ]
    return _table(("from step", "processes", "device", "arithmetic", "versions"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [
        " | ".join(heads),
        " | ".join("---" for _ in heads),
        *(" | ".join(row) for row in rows),
    ]
    return "\n".join(f"| {line} |" for line in lines)


def _seconds(train: Lines) -> float:
    """The time that the logged steps took; each line gives the mean of its interval."""
    before, spent = 0, 0.0
    for line in train:
        spent += (line["step"] - before) * line["step_s"]
        before = line["step"]
    return spent


def _lines(path: Path) -> Lines:
    if not path.exists():
        return []
    found = []
    for line in path.read_text("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # half a line, of a run that was killed
    return found
