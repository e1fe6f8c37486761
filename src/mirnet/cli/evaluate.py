"""``mirnet evaluate``: scores on the paper's benchmarks and on pairs of one's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mirnet.choices import (
    BaselineName,
    BenchmarkName,
    Device,
    Precision,
    ProtocolName,
    TaskName,
)
from mirnet.errors import DataError

if TYPE_CHECKING:
    from mirnet.evaluation.method import Method
    from mirnet.evaluation.scores import Scores
    from mirnet.metrics.lpips import Lpips
    from mirnet.tasks.evaluation import Subject


def evaluate(
    *folders: Path,
    benchmark: BenchmarkName | None = None,
    data: Path | None = None,
    task: TaskName | None = None,
    weights: str | None = None,
    pictures: Path | None = None,
    baseline: Annotated[tuple[BaselineName, ...], Parameter(negative=())] = (),
    protocol: ProtocolName | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    note: str | None = None,
    lpips: Path | None = None,
    workers: int | None = None,
    device: Device = "auto",
    precision: Precision = "auto",
    compare: Annotated[tuple[Path, Path] | None, Parameter(negative=())] = None,
    json_output: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Score weights, another program's pictures, or classical methods on pairs.

    Name one of the paper's benchmarks and where it lies, or folders of pairs of your own, with
    input/ and target/. A pair that can't be scored is named and stops no other; the exit status
    is then 1. With -o, a run that was stopped goes on where it was.

    Parameters
    ----------
    folders
        Folders of pairs; each is scored on its own.
    benchmark
        A benchmark of the paper; it decides the pairs, the protocol and the task. For dnd, a
        submission for its server is written.
    data
        Where the benchmark lies, as published or as `mirnet prepare` packed it.
    task
        What the pairs are for; denoising, or what the weights are for, unless told.
    weights
        A weights file or a name that `mirnet weights` lists, instead of the task's own.
    pictures
        A folder of restored pictures by any program, named as the pairs, to score instead of
        weights.
    baseline
        A classical method to score too, or instead if neither weights, task nor pictures are
        named; give it again for more.
    protocol
        How to score folders: rounding, colour, border and form of SSIM; photo unless told.
    output
        A folder for scores (score.json, scores.csv), restored pictures, and report.html.
    note
        What is to be said of the data, such as which export of FiveK was used.
    lpips
        AlexNet's weights as PyTorch publishes them (alexnet-owt-7be5be79.pth): measure LPIPS too.
    workers
        Threads that read pictures ahead; as many as cores, 8 at most, unless told.
    device
        Where to compute.
    precision
        Arithmetic of the network.
    compare
        Two score.json files: print the paired differences, second minus first, and nothing else.
    json_output
        Print JSON with the score of every pair instead of a table.
    """
    if compare is not None:
        beside = (folders, benchmark, data, task, weights, pictures, baseline, protocol, output)
        if any(beside) or any((note, lpips, workers)) or (device, precision) != ("auto", "auto"):
            raise DataError("--compare: takes two score.json files and, if you like, --json alone")
        return _compare(*compare, json_output=json_output)
    if workers is not None and not 1 <= workers <= 256:
        raise DataError(f"--workers: must be from 1 to 256, got {workers}")
    subjects = _subjects(folders, benchmark, data, protocol, note)
    if pictures is not None and (weights is not None or len(subjects) > 1):
        raise DataError("--pictures: are of one folder of pairs and stand instead of --weights")
    if pictures is not None and (task, device, precision) != (None, "auto", "auto"):
        raise DataError("--pictures: are there already; leave --task, --device, --precision out")
    if benchmark == "dnd" and (json_output or any((lpips, note, workers))):
        raise DataError(
            "--benchmark dnd: has no scores here; leave --lpips, --note, --workers and --json out"
        )
    if len(set(baseline)) < len(baseline):
        raise DataError("--baseline: name each method once")
    methods = _methods(benchmark, task, weights, pictures, baseline, device, precision)
    if lpips is not None:
        for subject in subjects:
            _require_rgb(subject)
    distance = _lpips(lpips)
    output = output.expanduser() if output else None
    failed = False
    for subject in subjects:
        for method in methods:
            failed |= _score(subject, method, output, distance, workers, json_output)
        if output and subject.protocol:
            from mirnet.evaluation.report import write_report

            print(f"report: {write_report(output / subject.label, subject.pairs)}", file=sys.stderr)
    return 1 if failed else 0


def _subjects(
    folders: tuple[Path, ...],
    benchmark: BenchmarkName | None,
    data: Path | None,
    protocol: ProtocolName | None,
    note: str | None,
) -> list[Subject]:
    from mirnet.tasks.evaluation import of_benchmark, of_folder

    if benchmark is None:
        if data is not None:
            raise DataError("--data: says where a benchmark lies; name it with --benchmark")
        if not folders:
            raise DataError(
                "evaluate: name a folder with input/ and target/, or --benchmark NAME --data FOLDER"
            )
        found = [of_folder(folder, protocol or "photo", note) for folder in folders]
        labels = [subject.label for subject in found]
        if twice := {label for label in labels if labels.count(label) > 1}:
            raise DataError(
                f"evaluate: two folders are called {min(twice)}; score them one at a time, each "
                "with an --output of its own"
            )
        return found
    if data is None or folders:
        raise DataError(f"--benchmark {benchmark}: say where it lies, with --data FOLDER alone")
    if protocol is not None:
        raise DataError(f"--protocol: is decided by --benchmark {benchmark}; leave it out")
    return [of_benchmark(benchmark, data, note)]


def _methods(
    benchmark: BenchmarkName | None,
    task: TaskName | None,
    weights: str | None,
    pictures: Path | None,
    baseline: tuple[BaselineName, ...],
    device: Device,
    precision: Precision,
) -> list[Method]:
    from mirnet.evaluation.baselines import by_baseline
    from mirnet.evaluation.method import by_network, by_pictures
    from mirnet.inference.restorer import Restorer
    from mirnet.tasks.evaluation import task_of
    from mirnet.tasks.weights import checkpoint_for, weights_for

    found = [by_baseline(name) for name in baseline]
    if pictures is not None:
        return [by_pictures(pictures.expanduser()), *found]
    if found and weights is None and task is None:
        if (device, precision) != ("auto", "auto"):
            raise DataError("--baseline: needs no network; leave --device and --precision out")
        return found
    if benchmark is not None:
        expected = task_of(benchmark)
        if task not in (None, expected):
            raise DataError(f"--benchmark {benchmark}: is for {expected}, not --task {task}")
        task = expected
    path, checkpoint = checkpoint_for(task, weights_for(task, weights))
    restorer = Restorer(checkpoint.build(), device=device, precision=precision, runtime="torch")
    return [by_network(restorer, path), *found]


def _require_rgb(subject: Subject) -> None:
    if subject.protocol is not None and subject.protocol.color != "rgb":
        raise DataError(
            f"--lpips: looks at RGB, and protocol {subject.protocol.name} at the luma; leave it out"
        )


def _lpips(trunk: Path | None) -> Lpips | None:
    from mirnet.metrics.lpips import load_lpips

    return None if trunk is None else load_lpips(trunk.expanduser())


def _score(
    subject: Subject,
    method: Method,
    output: Path | None,
    lpips: Lpips | None,
    workers: int | None,
    json_output: bool,
) -> bool:
    """Score and print. Whether a pair could not be scored."""
    from mirnet.evaluation.run import folder_name, run
    from mirnet.evaluation.submission import FILES, write_submission
    from mirnet.metrics.protocol import with_lpips
    from mirnet.progress import bar

    folder = output / subject.label / folder_name(method.name) if output else None
    with bar(f"{subject.label}: {method.name}") as show:
        if subject.protocol is None:
            if folder is None:
                raise DataError(f"{subject.label}: say where the submission is to go, with -o")
            faults = write_submission(
                method, subject.pairs, folder, unreadable=subject.unreadable, progress=show
            )
            told = "" if faults else _submission(folder / FILES, subject)
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
            faults = scores.faults
            told = _as_json(scores) if json_output else _line(scores)
    if told:
        print(told)
    for fault in faults:
        print(f"mirnet: not scored: {fault.id}: {fault.why}", file=sys.stderr)
    return bool(faults)


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
    from mirnet.evaluation.published import OURS
    from mirnet.evaluation.report import NAMES, benchmark_of, columns_of

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
    whole = scores.data["whole"]
    part = f" of {whole[0]}" if whole and count < min(whole) else ""
    head = f"{scores.data['label']}  {scores.method['name']}  {count}{part} pairs"
    return "\n".join(
        f"{head}  {f'{name}  ' if len(lines) > 1 else ''}{'  '.join(texts)}  "
        f"(protocol {scores.protocol['name']})"
        for name, texts in lines.items()
    )


def _compare(first: Path, second: Path, *, json_output: bool) -> int:
    from dataclasses import asdict

    from mirnet.evaluation.compare import FEWEST, compare
    from mirnet.evaluation.scores import plain, read_scores

    ours, theirs = read_scores(first.expanduser()), read_scores(second.expanduser())
    differences = compare(ours, theirs)
    if json_output:
        print(json.dumps([plain(asdict(each)) for each in differences], allow_nan=False))
        return 0
    print(f"{theirs.method['name']} minus {ours.method['name']}, {differences[0].pairs} pairs")
    for each in differences:
        interval = f"95 % {each.low:+.4f} to {each.high:+.4f}"
        if each.pairs < FEWEST:
            interval = f"fewer than {FEWEST} pairs"
        print(
            f"  {each.metric:<6} {each.first:.4f} → {each.second:.4f}  {each.mean:+.4f} "
            f"({interval}{'' if each.is_clear else ', may be chance'})  "
            f"better {each.better}, worse {each.worse}"
        )
    return 0
