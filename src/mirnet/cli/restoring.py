"""What `restore` and `watch` share: their options, how photos go, and what is said of them."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mirnet.choices import Device, FileDepth, FileFormat, Precision, Runtime, TaskName
from mirnet.errors import MirnetError

if TYPE_CHECKING:
    from mirnet.checkpoints.store import Checkpoint
    from mirnet.inference.batch import Outcome
    from mirnet.inference.files import FileSteps
    from mirnet.inference.jobs import Plan
    from mirnet.inference.places import Location
    from mirnet.inference.streaming.stream import Progress
    from mirnet.inference.treatment import Treatment

Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """How photos are restored, as the command line has it."""

    task: TaskName | None = None
    """What to restore; denoising, or what the weights are for, unless told."""
    weights: str | None = None
    """A weights file (.safetensors, or a released .pth), a name that `mirnet weights` lists, or
    hf://owner/name of a hub, instead of the task's own."""
    strength: float = 1.0
    """From 0 (the input) to 1 (fully restored)."""
    chroma_only: Flag = False
    """Keep the luma as it is: noise of colour goes, grain and detail stay."""
    detail: float = 0.0
    """How much of the fine structure that went with the noise comes back, from 0 to 1."""
    enlarge: int = 1
    """Make the photo 2, 3 or 4 times as high and wide, with weights for super-resolution. Without
    it, they sharpen a photo that was enlarged already, and keep its size."""
    overwrite: bool = False
    """Restore again what is already there."""
    depth: FileDepth = "keep"
    """Bits per channel of the results; as the input has, unless told."""
    format: FileFormat = "keep"
    """File format of the results; as the input has, unless told. HEIC becomes JPEG, or TIFF if a
    JPEG can't hold it, and RAW becomes TIFF. Of a.jpg and a.png in one folder, the one that changes
    keeps its old suffix too: a.jpg.png."""
    quality: int | None = None
    """Of JPEG, WebP and AVIF, from 1 to 100; 95, or lossless if the input is, unless told."""
    allow_damaged: bool = False
    """Restore what can be decoded of damaged photos; they are named at the end."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    precision: Precision = "auto"
    """Arithmetic of the network; auto is the fastest that is safe."""
    memory: str | None = None
    """The most that this process may take on the device, such as 2GiB; what is free, unless told. A
    photo that will not fit in one piece goes in tiles, its features in memory or in a scratch file
    (in TMPDIR); the result is the same."""
    runtime: Runtime = "auto"
    """What computes a photo that goes in one piece; auto tries once whether OpenVINO or ONNX
    Runtime, where they are installed, give the same on this CPU, and faster. compiled is PyTorch's
    own compiler, which takes a minute first."""


class Bar(logging.Handler):
    """A progress bar on stderr that appears with the first photo; what is logged goes above it."""

    def __init__(self) -> None:
        """Show nothing yet."""
        super().__init__(logging.INFO)
        self._done = 0

    def __enter__(self) -> Bar:
        """Take what is logged."""
        from mirnet.progress import columns

        self._progress = columns()
        self._bar = self._progress.add_task("restoring", total=None)
        self._logger = logging.getLogger("mirnet")
        self._logger.addHandler(self)
        self._level = self._logger.level
        self._logger.setLevel(min(self._logger.level or logging.INFO, logging.INFO))
        # What others put on the root logger later, as OpenVINO does, would say it all again.
        self._propagates = self._logger.propagate
        self._logger.propagate = self._propagates and logging.getLogger().hasHandlers()
        return self

    def __exit__(self, *_: object) -> None:
        """Let the bar stand as it is."""
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)
        self._logger.propagate = self._propagates
        if self._progress.live.is_started:
            self._progress.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line above the bar."""
        self.say(record.getMessage())

    def say(self, text: str) -> None:
        """Print it above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, done: int, total: int, source: Location) -> None:
        """Say how far it is, and what comes next."""
        self._progress.start()
        self._done = done
        name = "done" if done == total else source.name
        self._progress.update(self._bar, completed=done, total=total, description=name)

    def step(self, done: int, total: int) -> None:
        """Say how far it is with a photo that goes in tiles."""
        self._progress.update(self._bar, completed=self._done + done / total)

    def rest(self) -> None:
        """Let the bar stand until the next photo comes, and begin anew then."""
        if self._progress.live.is_started:
            self._progress.stop()
        self._progress.reset(self._bar)


@dataclass(frozen=True)
class Restoring:
    """Options that were looked at, and what a batch asks of them.

    Raises MirnetError that names the option that is out of its range.
    """

    options: Options
    bar: Bar = field(default_factory=Bar)

    def __post_init__(self) -> None:
        """Look at the options; the network is loaded later."""
        from mirnet.inference.treatment import ENLARGEMENTS
        from mirnet.units import parse_bytes

        given = self.options
        for name, value in (("strength", given.strength), ("detail", given.detail)):
            if not 0 <= value <= 1:
                raise MirnetError(f"--{name}: must be from 0 to 1, got {value:g}")
        if given.chroma_only and given.detail:
            raise MirnetError(
                "--detail: comes back with the luma, which --chroma-only keeps anyway"
            )
        if given.enlarge not in ENLARGEMENTS:
            raise MirnetError(f"--enlarge: must be 2, 3 or 4, got {given.enlarge}")
        if given.quality is not None and not 1 <= given.quality <= 100:
            raise MirnetError(f"--quality: must be from 1 to 100, got {given.quality}")
        if given.memory is not None:
            parse_bytes(given.memory, name="--memory")
        _ = self.weights  # a task without any, or a hub that has none, is told before the photos

    @cached_property
    def weights(self) -> str:
        """The weights that are meant, those of a hub as the file that was fetched."""
        from mirnet.tasks.weights import weights_for

        return weights_for(self.options.task, self.options.weights)

    @property
    def suffix(self) -> str | None:
        """Of the results; None keeps each photo's own."""
        return None if self.options.format == "keep" else f".{self.options.format}"

    @property
    def views(self) -> int:
        """Pictures that go in together."""
        from mirnet.tasks.weights import views_of

        return views_of(self.options.task, self.weights)

    def way(self) -> dict[str, Any]:
        """What makes results differ, as plain values."""
        from mirnet.tasks.weights import digest_of

        kept = {"depth": self.options.depth, "quality": self.options.quality}
        return {"weights": digest_of(self.weights), **asdict(self._treatment), **kept}

    def load(self) -> FileSteps:
        """What restores photo files, after a look at what its weights are for."""
        return self.prepared()(progress=self.bar.step)

    def prepared(self) -> partial[FileSteps]:
        """The same, to be made here or on a node of a cluster: it can be pickled."""
        from mirnet.tasks.weights import checkpoint_for_photos
        from mirnet.units import parse_bytes

        given = self.options
        path, checkpoint = checkpoint_for_photos(
            given.task, self.weights, enlarges=given.enlarge > 1
        )
        print(f"weights: {path} ({checkpoint.task or 'task unknown'})", file=sys.stderr)
        return partial(
            _steps,
            checkpoint,
            self._treatment,
            depth=given.depth,
            quality=given.quality,
            allow_damaged=given.allow_damaged,
            device=given.device,
            precision=given.precision,
            memory=None if given.memory is None else parse_bytes(given.memory, name="--memory"),
            runtime=given.runtime,
        )

    @property
    def _treatment(self) -> Treatment:
        from mirnet.inference.treatment import Treatment

        given = self.options
        return Treatment(
            strength=given.strength,
            chroma_only=given.chroma_only,
            detail=given.detail,
            enlarge=given.enlarge,
        )


def _steps(
    checkpoint: Checkpoint,
    treatment: Treatment,
    cores: int | None = None,
    share: int = 1,
    *,
    depth: FileDepth,
    quality: int | None,
    allow_damaged: bool,
    device: Device,
    precision: Precision,
    memory: int | None,
    runtime: Runtime,
    progress: Progress | None = None,
) -> FileSteps:
    """What restores photos, here or on a node: on its cores, with its part of the memory."""
    import torch

    from mirnet.checkpoints.expected import expected_for
    from mirnet.inference.devices import choose_device
    from mirnet.inference.files import FileSteps
    from mirnet.inference.memory import share_of_memory
    from mirnet.inference.restorer import Restorer
    from mirnet.inference.streaming.stream import ignore_progress

    if cores is not None:
        torch.set_num_threads(cores)
    if memory is None and share > 1 and choose_device(device).type == "cpu":
        memory = share_of_memory(share)
    restorer = Restorer(
        checkpoint.build(),
        device=device,
        precision=precision,
        memory=memory,
        runtime=runtime,
        expected=expected_for(checkpoint.task),
    )
    return FileSteps(
        restorer,
        treatment,
        depth=depth,
        quality=quality,
        allow_damaged=allow_damaged,
        progress=progress or ignore_progress,
    )


def summary(outcome: Outcome, planned: Plan | None = None) -> str:
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
    if planned and planned.left_alone:
        kinds = ", ".join(sorted(planned.left_alone))
        files = counted(planned.left_alone.total(), "file")
        lines.append(f"left alone: {files} of other kinds ({kinds})")
    return "\n".join(lines)
