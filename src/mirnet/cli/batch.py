"""A batch of photos: what to do, done one by one, and what came of it."""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mirnet.errors import MirnetError, PhotoError
from mirnet.imaging.io import SUFFIXES

RestoreFile = Callable[[Path, Path], None]
"""Restores a source into a target."""


@dataclass(frozen=True, slots=True)
class Job:
    """One photo to restore."""

    source: Path
    target: Path


@dataclass(slots=True)
class Summary:
    """What came of a batch."""

    restored: int = 0
    skipped: int = 0
    failures: dict[Path, str] = field(default_factory=dict)

    def text(self) -> str:
        """One line with the counts, and one for each failure."""
        counts = [f"{self.restored} restored"]
        if self.skipped:
            counts.append(f"{self.skipped} already done (--overwrite does them again)")
        if self.failures:
            counts.append(f"{len(self.failures)} failed:")
        return "\n".join([", ".join(counts), *(f"  {why}" for why in self.failures.values())])


def plan(paths: Iterable[str], output: Path, *, suffix: str | None) -> list[Job]:
    """Which photos to restore, and where to.

    Args:
        paths: photos, folders or patterns.
        output: the folder for the results.
        suffix: of the results, with its dot; None keeps each photo's own.

    Raises:
        PhotoError: a path does not exist, a folder holds no photos, or two photos would go to
            the same file.
    """
    jobs: list[Job] = []
    for path in paths:
        for source, below in _photos(path, output):
            target = output / below
            jobs.append(Job(source, target.with_suffix(suffix) if suffix else target))
    taken: dict[Path, Path] = {}
    for job in jobs:
        other = taken.setdefault(job.target, job.source)
        if other != job.source and other.resolve() != job.source.resolve():
            raise PhotoError(
                f"{job.source} and {other} would both become {job.target}; restore them into "
                "different folders with -o"
            )
    return list(dict.fromkeys(jobs))


def run(jobs: list[Job], load: Callable[[], RestoreFile], *, overwrite: bool) -> Summary:
    """Restore one photo after the other; a failure is noted and the next one begun.

    ``load`` makes what restores them; it is not called if all is done already.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
    )
    todo = jobs if overwrite else [job for job in jobs if not job.target.exists()]
    summary = Summary(skipped=len(jobs) - len(todo))
    if not todo:
        return summary
    restore_file = load()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("restoring", total=len(todo))
        for job in todo:
            progress.update(bar, description=job.source.name)
            try:
                job.target.parent.mkdir(parents=True, exist_ok=True)
                restore_file(job.source, job.target)
                summary.restored += 1
            except (MirnetError, OSError, MemoryError, RuntimeError) as error:
                # RuntimeError is torch's, such as CUDA out of memory: the next photo may fit.
                logging.getLogger("mirnet").debug("%s", job.source, exc_info=error)
                summary.failures[job.source] = _reason(job.source, error)
            progress.advance(bar)
        progress.update(bar, description="done")
    return summary


def _photos(path: str, output: Path) -> Iterator[tuple[Path, Path]]:
    """The photos that a path means, each with its place below the output folder."""
    given = Path(path)
    if given.is_dir():
        found = [each for each in _below(given) if not _is_within(each, output)]
        if not found:
            raise PhotoError(f"{path}: holds no photos ({', '.join(sorted(SUFFIXES))})")
        yield from ((each, each.relative_to(given)) for each in found)
    elif given.exists() or given.is_symlink():
        yield given, Path(given.name)
    elif matches := sorted(glob.glob(path, recursive=True)):  # noqa: PTH207 (may be absolute)
        yield from ((Path(match), Path(match).name) for match in matches if Path(match).is_file())  # type: ignore[misc]
    else:
        raise PhotoError(f"{path}: there is no such photo or folder")


def _below(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.is_dir() and not path.name.startswith(".")
    )


def _is_within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _reason(source: Path, error: Exception) -> str:
    """One line that begins with the photo's path."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.startswith(str(source)) else f"{source}: {text}"
