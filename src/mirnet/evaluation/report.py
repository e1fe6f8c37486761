"""``report.html``: scores as a page that stands on its own, with the paper's rows beside them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mirnet.atomic import remove_leftovers, replacing
from mirnet.data.matching import listed
from mirnet.data.pair import Pair
from mirnet.errors import DataError
from mirnet.evaluation.benchmarks import BENCHMARKS, Benchmark, remark
from mirnet.evaluation.figures import figures
from mirnet.evaluation.plots import strip_plot
from mirnet.evaluation.published import OURS
from mirnet.evaluation.scores import IDENTITY, Scores, read_scores
from mirnet.metrics.protocol import LOWER_IS_BETTER

PLACES = {"psnr": 2, "ssim": 4, "mae": 4, "lpips": 4}
"""Decimal places of a metric in a table."""
NAMES = {"psnr": "PSNR", "ssim": "SSIM", "mae": "MAE", "lpips": "LPIPS"}

logger = logging.getLogger("mirnet")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: who, whether we measured it, and what its cells say."""

    name: str
    is_measured: bool
    cells: tuple[str, ...]
    about: str = ""


def write_report(folder: Path, pairs: Sequence[Pair]) -> Path:
    """Write ``report.html`` for all methods that were scored into ``folder``; return its path.

    Args:
        folder: holds a folder for each method, as `mirnet.evaluation.run.run` leaves it. Those
            scored by another protocol or on other pictures than the newest are left out, and so
            are those that lack a pair where others have all.
        pairs: the data, for its pictures.

    Raises DataError if no method was scored there.
    """
    remove_leftovers(folder)
    every = {path.parent: scores for path, scores in _readable(folder)}
    if not every:
        raise DataError(f"{folder}: holds no scores yet; `mirnet evaluate -o` writes them")
    standard = _standard(every.values())
    comparable = {
        place: scores
        for place, scores in every.items()
        if _is_part(scores, standard) and len(scores.pairs) == len(standard.pairs)
    }
    ordered = sorted(comparable, key=lambda place: _rank(comparable[place]))
    methods = [comparable[place] for place in ordered]
    rest = {place: scores for place, scores in every.items() if place not in comparable}
    incomplete = [scores for scores in rest.values() if _is_part(scores, standard)]
    left_out = [place.name for place, scores in rest.items() if scores not in incomplete]
    page = _template().render(
        title=standard.data["label"],
        notes=_notes(methods),
        sha256=standard.data_sha256,
        count=len(standard.pairs),
        remark=remark(len(standard.pairs), standard.data["whole"]),
        protocol=standard.protocol,
        table=_table(methods),
        names=NAMES,
        lower_is_better=LOWER_IS_BETTER,
        methods=methods,
        incomplete=[
            f"{scores.method['name']} (lacks {listed(_names(standard) - _names(scores))})"
            for scores in incomplete
        ],
        left_out=left_out,
        faulty=[scores for scores in (*methods, *incomplete) if scores.faults],
        plots=_plots(methods),
        pictures=figures(dict(zip(ordered, methods, strict=True)), pairs),
    )
    path = folder / "report.html"
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path


def _standard(every: Iterable[Scores]) -> Scores:
    """The scores that others must match: the newest, or complete ones of the same pairs."""
    newest = max(every, key=_age)
    wanted = _names(newest) | {fault.id for fault in newest.faults}
    complete = [each for each in every if _names(each) == wanted and _is_part(newest, each)]
    return max(complete, key=_age, default=newest)


def _age(scores: Scores) -> str:
    return str(scores.made["at"])


def _names(scores: Scores) -> set[str]:
    return {pair.id for pair in scores.pairs}


def _is_part(scores: Scores, whole: Scores) -> bool:
    """Whether these are scores of the same pictures by the same protocol, or of some of them."""
    known = {pair.id: (pair.digests, pair.group) for pair in whole.pairs}
    return scores.protocol == whole.protocol and all(
        known.get(pair.id) == (pair.digests, pair.group) for pair in scores.pairs
    )


def _readable(folder: Path) -> Iterator[tuple[Path, Scores]]:
    """The scores in a folder; damaged ones of another method are no reason to have no page."""
    for path in sorted(folder.glob("*/score.json")):
        try:
            yield path, read_scores(path)
        except DataError as error:
            logger.warning("left out of the report: %s", error)


def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("mirnet.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _rank(scores: Scores) -> tuple[int, float]:
    """Networks first, then other programs' pictures, then classical methods; the best first."""
    kind = scores.method["kind"]
    place = list(IDENTITY).index(kind) if kind in IDENTITY else len(IDENTITY)
    return place, -scores.means()["psnr"]


def benchmark_of(scores: Scores) -> Benchmark | None:
    """The paper's benchmark that these scores are of, if they are."""
    name = scores.data.get("benchmark")
    return BENCHMARKS.get(name) if name else None


def columns_of(scores: Scores) -> list[tuple[str, str | None, str]]:
    """The columns of the table: heading, group of pairs, metric; as the paper's, if it has one."""
    metrics = list(scores.pairs[0].scores)
    benchmark = benchmark_of(scores)
    if benchmark is None:
        return [("", None, metric) for metric in metrics]
    parts: list[tuple[str, str | None]] = [
        (heading, group) for group, heading in benchmark.groups.items() if group in scores.groups
    ]
    parts.append((benchmark.heading, None))
    return [(heading, group, metric) for heading, group in parts for metric in metrics]


def _table(methods: Sequence[Scores]) -> dict[str, Any]:
    first = methods[0]
    columns = columns_of(first)
    benchmark = benchmark_of(first)
    rows = [
        Row(
            name=benchmark.input_name if benchmark else "input",
            is_measured=True,
            cells=tuple(_number(first.input_means(group)[m], m) for _, group, m in columns),
        )
    ]
    rows += [
        Row(
            name=scores.method["name"],
            is_measured=True,
            cells=tuple(_number(scores.means(group)[m], m) for _, group, m in columns),
            about=_about(scores),
        )
        for scores in reversed(methods)
    ]
    if benchmark is None:
        return {"columns": columns, "rows": rows, "delta": None, "source": "", "note": ""}
    paper = benchmark.published
    keys = [f"{heading}/{NAMES[metric]}" for heading, _, metric in columns]
    published = [
        Row(
            name=method,
            is_measured=False,
            cells=tuple(
                "–" if (value := paper.value(method, key)) is None else f"{value:g}" for key in keys
            ),
        )
        for method in paper.rows
    ]
    return {
        "columns": columns,
        "rows": published + rows,
        "delta": _delta(first, columns, keys, benchmark),
        "source": paper.source,
        "note": paper.note,
    }


def _delta(
    scores: Scores,
    columns: Sequence[tuple[str, str | None, str]],
    keys: Sequence[str],
    benchmark: Benchmark,
) -> Row:
    """The best of ours minus the paper's row of the same network."""
    cells = []
    for (_, group, metric), key in zip(columns, keys, strict=True):
        value = benchmark.published.value(OURS, key)
        ours = scores.means(group)[metric]
        cells.append("–" if value is None else f"{ours - value:+.{PLACES[metric]}f}")
    return Row(f"Δ of {scores.method['name']} to {OURS}", True, tuple(cells))


def _about(scores: Scores) -> str:
    method = scores.method
    if method["kind"] == "network":
        return f"weights {method['weights'][:12]}…, {method['device']}, {method['precision']}"
    if method["kind"] == "pictures":
        return f"pictures from {method['folder']}"
    versions = method.get("versions", {})  # a kind that is not known has none
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _notes(methods: Sequence[Scores]) -> list[str]:
    """What was said of the data, by whose scores it was said if that differs."""
    notes = {scores.method["name"]: scores.data["note"] for scores in methods}
    if len(set(notes.values())) == 1:
        return [note for note in notes.values() if note][:1]
    return [f"{note} ({name})" for name, note in notes.items() if note]


def _number(value: float, metric: str) -> str:
    return f"{value:.{PLACES[metric]}f}"


def _plots(methods: Sequence[Scores]) -> list[tuple[str, str]]:
    """A strip for each method and metric: every pair a dot."""
    plots = []
    for metric in methods[0].pairs[0].scores:
        strips = {"input": [pair.input[metric] for pair in methods[0].pairs]}
        strips |= {
            scores.method["name"]: [pair.scores[metric] for pair in scores.pairs]
            for scores in reversed(methods)
        }
        better = "lower" if metric in LOWER_IS_BETTER else "higher"
        plots.append((f"{NAMES[metric]}, each pair ({better} is better)", strip_plot(strips)))
    return plots
