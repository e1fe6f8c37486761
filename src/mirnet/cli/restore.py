"""``mirnet restore``: photos in, restored photos out."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mirnet.choices import Device, Precision, Runtime, TaskName
from mirnet.errors import MirnetError

if TYPE_CHECKING:
    from mirnet.inference.batch import Outcome
    from mirnet.inference.files import FileSteps
    from mirnet.inference.guards import Expected
    from mirnet.inference.planning import Plan
    from mirnet.inference.restorer import Restorer


def restore(
    *paths: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("restored"),
    task: TaskName | None = None,
    weights: str | None = None,
    strength: float = 1.0,
    chroma_only: Annotated[bool, Parameter(negative=())] = False,
    detail: float = 0.0,
    enlarge: int = 1,
    overwrite: bool = False,
    depth: Literal["keep", "8", "16"] = "keep",
    format: Literal["keep", "png", "jpg", "tif", "webp", "avif"] = "keep",
    quality: int | None = None,
    allow_damaged: bool = False,
    device: Device = "auto",
    precision: Precision = "auto",
    memory: str | None = None,
    runtime: Runtime = "auto",
) -> int:
    """Restore photos: PNG, JPEG, TIFF, WebP, AVIF, HEIC and RAW, 8 or 16 bit, metadata kept.

    Dual-pixel photos are two files, named IMG_L.png and IMG_R.png or alike in folders left/ and
    right/, or one TIFF whose two pages are the left and the right view.

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
        What to restore; denoising, or what the weights are for, unless told.
    weights
        A weights file (.safetensors, or a released .pth) or a name that `mirnet weights` lists,
        instead of the task's own.
    strength
        From 0 (the input) to 1 (fully restored).
    chroma_only
        Keep the luma as it is: noise of colour goes, grain and detail stay.
    detail
        How much of the fine structure that went with the noise comes back, from 0 to 1.
    enlarge
        Make the photo 2, 3 or 4 times as high and wide, with weights for super-resolution. Without
        it, they sharpen a photo that was enlarged already, and keep its size.
    overwrite
        Restore again what is already there.
    depth
        Bits per channel of the results; as the input has, unless told.
    format
        File format of the results; as the input has, unless told. HEIC becomes JPEG, or TIFF if a
        JPEG can't hold it, and RAW becomes TIFF. Of a.jpg and a.png in one folder, the one that
        changes keeps its old suffix too: a.jpg.png.
    quality
        Of JPEG, WebP and AVIF, from 1 to 100; 95, or lossless if the input is, unless told.
    allow_damaged
        Restore what can be decoded of damaged photos; they are named at the end.
    device
        Where to compute; auto takes a GPU if there is one.
    precision
        Arithmetic of the network; auto is the fastest that is safe.
    memory
        The most that this process may take on the device, such as 2GiB; what is free, unless told.
        A photo that will not fit in one piece goes in tiles, its features in memory or in a
        scratch file (in TMPDIR); the result is the same.
    runtime
        What computes on a CPU a photo that goes in one piece; auto tries once whether OpenVINO,
        if it is installed, gives the same and faster.
    """
    from mirnet.inference.batch import Outcome, run
    from mirnet.inference.planning import plan
    from mirnet.inference.treatment import ENLARGEMENTS, Treatment
    from mirnet.tasks.weights import digest_of, views_of, weights_for
    from mirnet.units import parse_bytes

    if not paths:
        raise MirnetError("restore: name at least one photo or folder; see `mirnet restore --help`")
    for name, value in (("strength", strength), ("detail", detail)):
        if not 0 <= value <= 1:
            raise MirnetError(f"--{name}: must be from 0 to 1, got {value:g}")
    if chroma_only and detail:
        raise MirnetError("--detail: comes back with the luma, which --chroma-only keeps anyway")
    if enlarge not in ENLARGEMENTS:
        raise MirnetError(f"--enlarge: must be 2, 3 or 4, got {enlarge}")
    if quality is not None and not 1 <= quality <= 100:
        raise MirnetError(f"--quality: must be from 1 to 100, got {quality}")
    limit = parse_bytes(memory, name="--memory") if memory is not None else None
    chosen = weights_for(task, weights)
    treatment = Treatment(
        strength=strength, chroma_only=chroma_only, detail=detail, enlarge=enlarge
    )

    def way() -> dict[str, object]:
        kept = {"depth": depth, "quality": quality}
        return {"weights": digest_of(chosen), **asdict(treatment), **kept}

    def load() -> FileSteps:
        from mirnet.inference.files import FileSteps

        restorer, expected = _restorer(
            chosen, task, device, precision, limit, runtime, enlarges=enlarge > 1
        )
        return FileSteps(
            restorer,
            treatment,
            depth=depth,
            quality=quality,
            allow_damaged=allow_damaged,
            expected=expected,
            progress=bar.step,
        )

    suffix = None if format == "keep" else f".{format}"
    planned = plan(paths, output, suffix=suffix, depth=depth, views=views_of(task, chosen))
    outcome = Outcome()
    try:
        with _Bar() as bar:
            run(
                planned,
                load,
                output=output,
                way=way,
                overwrite=overwrite,
                progress=bar.show,
                outcome=outcome,
            )
    except BaseException as error:
        if not isinstance(error, Exception):  # a signal: what was done so far is not told again
            print(_summary(outcome, planned), file=sys.stderr)
        raise
    print(_summary(outcome, planned), file=sys.stderr)
    return 1 if outcome.failures else 0


def _restorer(
    weights: str,
    task: TaskName | None,
    device: Device,
    precision: Precision,
    memory: int | None,
    runtime: Runtime,
    *,
    enlarges: bool,
) -> tuple[Restorer, Expected]:
    """The restorer, after a look at what its weights are for, and what is usual for their task."""
    from mirnet.inference.guards import Expected
    from mirnet.inference.restorer import Restorer
    from mirnet.tasks.registry import TASKS
    from mirnet.tasks.weights import checkpoint_for

    path, checkpoint = checkpoint_for(task, weights)
    if checkpoint.config.in_channels not in (3, 6):
        raise MirnetError(
            f"{path}: takes {checkpoint.config.in_channels} channels, and photos have 3, or 6 in "
            "two views; give other --weights"
        )
    if enlarges and checkpoint.task not in (None, "super-resolution"):
        raise MirnetError(
            f"--enlarge: {path} is for {checkpoint.task}; give --task super-resolution"
        )
    print(f"weights: {path} ({checkpoint.task or 'task unknown'})", file=sys.stderr)
    restorer = Restorer(
        checkpoint.build(), device=device, precision=precision, memory=memory, runtime=runtime
    )
    known = TASKS.get(checkpoint.task) if checkpoint.task else None
    return restorer, known.expected if known else Expected()


class _Bar(logging.Handler):
    """A progress bar on stderr that appears with the first photo; what is logged goes above it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._done = 0

    def __enter__(self) -> _Bar:
        from mirnet.progress import columns

        self._progress = columns()
        self._bar = self._progress.add_task("restoring", total=None)
        self._logger = logging.getLogger("mirnet")
        self._logger.addHandler(self)
        self._level = self._logger.level
        self._logger.setLevel(min(self._logger.level or logging.INFO, logging.INFO))
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)
        if self._progress.live.is_started:
            self._progress.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line above the bar."""
        self._progress.console.print(
            record.getMessage(), markup=False, highlight=False, soft_wrap=True
        )

    def show(self, done: int, total: int, source: Path) -> None:
        """Say how far it is, and what comes next."""
        self._progress.start()
        self._done = done
        name = "done" if done == total else source.name
        self._progress.update(self._bar, completed=done, total=total, description=name)

    def step(self, done: int, total: int) -> None:
        """Say how far it is with a photo that goes in tiles."""
        self._progress.update(self._bar, completed=self._done + done / total)


def _summary(outcome: Outcome, planned: Plan) -> str:
    """One line with the counts, and one for each note and each failure."""
    from mirnet.units import counted

    counts = [f"{outcome.restored} restored"]
    if outcome.skipped:
        counts.append(f"{outcome.skipped} already done (--overwrite does them again)")
    if outcome.failures:
        counts.append(f"{len(outcome.failures)} failed:")
    lines = [", ".join(counts), *(f"  {why}" for why in outcome.failures.values())]
    if outcome.notes:
        lines.append("of what was restored:")
        lines += [f"  {path}: {note}" for path, notes in outcome.notes.items() for note in notes]
    if planned.left_alone:
        kinds = ", ".join(sorted(planned.left_alone))
        files = counted(planned.left_alone.total(), "file")
        lines.append(f"left alone: {files} of other kinds ({kinds})")
    return "\n".join(lines)
