"""What `mirnet evaluate` says of a method on pairs, and of two scores beside each other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mirnet.errors import DataError
from mirnet.evaluation.benchmarks import remark
from mirnet.evaluation.compare import FEWEST, compare
from mirnet.evaluation.method import Method
from mirnet.evaluation.published import OURS
from mirnet.evaluation.report import NAMES, benchmark_of, columns_of
from mirnet.evaluation.run import folder_name, run
from mirnet.evaluation.scores import Fault, Scores, plain, read_scores
from mirnet.evaluation.submission import FILES, write_submission
from mirnet.metrics.lpips import Lpips
from mirnet.metrics.protocol import with_lpips
from mirnet.progress import bar
from mirnet.tasks.evaluation import Subject
from mirnet.units import counted


def print_scores(
    subject: Subject,
    method: Method,
    output: Path | None,
    *,
    lpips: Lpips | None = None,
    workers: int | None = None,
    json_output: bool = False,
) -> bool:
    """Score and print, a line for each pair that could not be. Whether every pair was scored.

    Raises NothingScoredError and OtherScoresError, see `run`.
    """
    folder = output / subject.label / folder_name(method.name) if output else None
    with bar(f"{subject.label}: {method.name}") as show:
        if subject.protocol is None:
            told, faults = _submitted(subject, method, folder, show)
        else:
            scores = run(
                method,
                subject.pairs,
                with_lpips(subject.protocol) if lpips else subject.protocol,
                data=subject.data,
                unreadable=subject.unreadable,
                folder=folder,
                depth=subject.depth,
                lpips=lpips,
                workers=workers,
                progress=show,
            )
            told, faults = _as_json(scores) if json_output else _line(scores), scores.faults
    if told:
        print(told)
    for fault in faults:
        print(f"mirnet: not scored: {fault.id}: {fault.why}", file=sys.stderr)
    return not faults


def _submitted(
    subject: Subject, method: Method, folder: Path | None, progress: Callable[[int, int], None]
) -> tuple[str, tuple[Fault, ...]]:
    if folder is None:
        raise DataError(f"{subject.label}: say where the submission is to go, with -o")
    faults = write_submission(
        method, subject.pairs, folder, unreadable=subject.unreadable, progress=progress
    )
    return "" if faults else _submission(folder / FILES, subject), faults


def _submission(files: Path, subject: Subject) -> str:
    """What is said of a submission that is there; the server takes a whole one alone."""
    count, whole = len(subject.pairs), subject.data["whole"]
    if whole and count not in whole:
        return f"{files}: {count} of {whole[0]} boxes: a part, which the server can't score"
    return f"{files}: ready to be sent to the benchmark's server"


def _as_json(scores: Scores) -> str:
    return json.dumps(scores.summary())


def _line(scores: Scores) -> str:
    """A line for the pairs, or one for each part of a benchmark, beside the paper's values."""
    benchmark = benchmark_of(scores)
    lines: dict[str, list[str]] = {}
    for heading, group, metric in columns_of(scores):
        value = scores.means(group)[metric]
        text = f"{NAMES[metric]} {value:.4f}"
        paper = benchmark and benchmark.published.value(OURS, f"{heading}/{NAMES[metric]}")
        if paper:
            text += f" ({OURS} in the paper {paper:g})"
        lines.setdefault(group or heading or "", []).append(text)
    count = len(scores.pairs)
    odd = remark(count, scores.data["whole"])
    pairs = counted(count, "pair") + (f" ({odd})" if odd else "")
    head = f"{scores.data['label']}  {scores.method['name']}  {pairs}"
    return "\n".join(
        f"{head}  {f'{name}  ' if len(lines) > 1 else ''}{'  '.join(texts)}  "
        f"(protocol {scores.protocol['name']})"
        for name, texts in lines.items()
    )


def print_comparison(first: Path, second: Path, *, json_output: bool) -> None:
    """Print the paired differences of two ``score.json`` files, second minus first."""
    ours, theirs = read_scores(first.expanduser()), read_scores(second.expanduser())
    differences = compare(ours, theirs)
    if json_output:
        print(json.dumps([plain(asdict(each)) for each in differences], allow_nan=False))
        return
    pairs = counted(differences[0].pairs, "pair")
    print(f"{theirs.method['name']} minus {ours.method['name']}, {pairs}")
    for each in differences:
        interval = f"95 % {each.low:+.4f} to {each.high:+.4f}"
        if each.pairs < FEWEST:
            interval = f"fewer than {FEWEST} pairs"
        print(
            f"  {each.metric:<6} {each.first:.4f} → {each.second:.4f}  {each.mean:+.4f} "
            f"({interval}{'' if each.is_clear else ', may be chance'})  "
            f"better {each.better}, worse {each.worse}"
        )
