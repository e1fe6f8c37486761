"""``mirnet evaluate``: scores on the paper's benchmarks and on pairs of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
        A weights file, a name that `mirnet weights` lists, or hf://owner/name of a hub, instead of
        the task's own.
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
        Arithmetic of the network; float32 on every device, unless told, as published scores are.
    compare
        Two score.json files: print the paired differences, second minus first, and nothing else.
    json_output
        Print JSON with the score of every pair instead of a table.
    """
    if compare is not None:
        many = folders or baseline or (device, precision) != ("auto", "auto")
        if many or _given(
            benchmark, data, task, weights, pictures, protocol, output, note, lpips, workers
        ):
            raise DataError("--compare: takes two score.json files and, if you like, --json alone")
        from mirnet.cli.scoring import print_comparison

        print_comparison(*compare, json_output=json_output)
        return 0
    if workers is not None and not 1 <= workers <= 256:
        raise DataError(f"--workers: must be from 1 to 256, got {workers}")
    subjects = _subjects(folders, benchmark, data, protocol, note)
    output = output.expanduser() if output else None
    _require_apart(output, subjects)
    if pictures is not None and (weights is not None or len(subjects) > 1):
        raise DataError("--pictures: are of one folder of pairs and stand instead of --weights")
    if pictures is not None and (task, device, precision) != (None, "auto", "auto"):
        raise DataError("--pictures: are there already; leave --task, --device, --precision out")
    if benchmark == "dnd":
        _require_unscored(baseline, json_output or _given(lpips, note, workers))
    if len(set(baseline)) < len(baseline):
        raise DataError("--baseline: name each method once")
    methods = _methods(benchmark, task, weights, pictures, baseline, device, precision)
    _require_own_names(methods)
    if lpips is not None:
        for subject in subjects:
            _require_rgb(subject)
    distance = _lpips(lpips)
    kind: dict[str, Any] = {"lpips": distance, "workers": workers, "json_output": json_output}
    are_whole = [_scored(subject, methods, output, **kind) for subject in subjects]
    return 0 if all(are_whole) else 1


def _scored(subject: Subject, methods: list[Method], output: Path | None, **kind: Any) -> bool:
    """Score each method on these pairs, and write the page. Whether every pair was scored."""
    from mirnet.cli.scoring import print_scores
    from mirnet.evaluation.journal import NothingScoredError, OtherScoresError
    from mirnet.evaluation.report import write_report

    are_whole = []
    for method in methods:
        try:
            are_whole.append(print_scores(subject, method, output, **kind))
        except (NothingScoredError, OtherScoresError) as error:  # which others need not share
            print(f"mirnet: {error}", file=sys.stderr)
    # If nothing was scored now, the page that may be there is of other pairs or still true.
    if output and subject.protocol and are_whole:
        print(f"report: {write_report(output / subject.label, subject.pairs)}", file=sys.stderr)
    return len(are_whole) == len(methods) and all(are_whole)


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
    exact: Precision = "float32" if precision == "auto" else precision
    restorer = Restorer(checkpoint.build(), device=device, precision=exact, runtime="torch")
    return [by_network(restorer, path), *found]


def _given(*options: object) -> bool:
    """Whether any of these was given, were it 0 or empty."""
    return any(option is not None for option in options)


def _require_unscored(baseline: tuple[BaselineName, ...], is_about_scores: bool) -> None:
    """Of a submission there is neither a score here nor a target."""
    from mirnet.evaluation.baselines import BASELINES

    if is_about_scores:
        raise DataError(
            "--benchmark dnd: has no scores here; leave --lpips, --note, --workers and --json out"
        )
    if named := [name for name in baseline if BASELINES[name].needs_target]:
        raise DataError(
            f"--baseline {named[0]}: looks at the targets, which dnd's server keeps; leave it out"
        )


def _require_own_names(methods: list[Method]) -> None:
    """Of two methods of one name, one would stand in the other's folder and row."""
    from mirnet.evaluation.run import folder_name

    names = [folder_name(method.name) for method in methods]
    if twice := {name for name in names if names.count(name) > 1}:
        raise DataError(
            f"evaluate: two methods are called {min(twice)}; rename the weights file or the folder "
            "of pictures, or score them one at a time"
        )


def _require_apart(output: Path | None, subjects: list[Subject]) -> None:
    from mirnet.data.checking import require_apart

    if output is not None:
        require_apart(output, (pair for subject in subjects for pair in subject.pairs))


def _require_rgb(subject: Subject) -> None:
    if subject.protocol is not None and subject.protocol.color != "rgb":
        raise DataError(
            f"--lpips: looks at RGB, and protocol {subject.protocol.name} at the luma; leave it out"
        )


def _lpips(trunk: Path | None) -> Lpips | None:
    from mirnet.metrics.lpips import load_lpips

    return None if trunk is None else load_lpips(trunk.expanduser())
