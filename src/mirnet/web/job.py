"""One photo on its way through a server."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mirnet.errors import in_names
from mirnet.imaging.photo import PhotoHeader
from mirnet.web.order import Box, Order, in_fields

State = Literal["waiting", "running", "done", "failed", "cancelled"]
OVER = frozenset[State](("done", "failed", "cancelled"))
SHOWABLE = frozenset((".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif"))
"""Suffixes of files that browsers show."""
NEARLY = 0.97
"""The most that an estimate says is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a worker process is to do.

    Attributes:
        source, right, target: the files, as in a batch's ``Job``.
        order: the options.
        weights: their name.
        box: the part to restore first; None for none.
        preview, before, after: where to put pictures for a browser; None where it shows the files.
    """

    source: Path
    right: Path | None
    target: Path
    order: Order
    weights: str
    box: Box | None
    preview: Path
    before: Path | None
    after: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What a worker process tells of its errand; what is None is as it was.

    Attributes:
        step: what it does now.
        progress: the share that is done, from 0 to 1.
        previewed: whether the preview is there.
        state: how it ended.
        notes: what is doubtful in the result.
        detail: why it failed.
    """

    step: str | None = None
    progress: float | None = None
    previewed: bool = False
    state: State | None = None
    notes: tuple[str, ...] = ()
    detail: str | None = None


@dataclass(slots=True, kw_only=True)
class Job:
    """One photo, what is asked for, and how far it is.

    Attributes:
        names: what the client calls the files of the errand; never paths.
        header: the photo's size and kind.
        folder: its own, with all its files.
        errand: what the worker process is to do.
        task: what is restored.
        expected_s: how long the network will take, if that is known.
        is_blameless: whether it failed by the server's fault.
        wake: called at each change, by whichever thread makes it.
    """

    names: dict[Path, str]
    header: PhotoHeader
    folder: Path
    errand: Errand
    task: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: State = "waiting"
    step: str = "waiting"
    progress: float | None = None
    previewed: bool = False
    notes: tuple[str, ...] = ()
    detail: str | None = None
    started: float | None = None
    restoring_since: float | None = None
    ended: float | None = None
    expected_s: float | None = None
    is_blameless: bool = False
    wake: set[Callable[[], object]] = field(default_factory=set)

    @property
    def name(self) -> str:
        """As the client calls the photo."""
        return self.names[self.errand.source]

    @property
    def result_name(self) -> str:
        """What the result is called."""
        return self.names[self.errand.target]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in OVER

    @property
    def runs_s(self) -> float:
        """For how long it has been worked on, in seconds."""
        return 0.0 if self.started is None else (self.ended or time.monotonic()) - self.started

    @property
    def pixels(self) -> int:
        """Of the result."""
        return self.header.height * self.header.width * self.errand.order.enlarge**2

    @property
    def before(self) -> Path:
        """A picture of the input that browsers show."""
        return self.errand.before or self.errand.source

    @property
    def after(self) -> Path:
        """A picture of the result that browsers show."""
        return self.errand.after or self.errand.target

    def hear(self, news: News) -> None:
        """Take over what the worker process tells of a job that goes on."""
        if self.is_over:
            return
        if news.step == "restoring" and self.step != "restoring":
            self.restoring_since = time.monotonic()
        self.step = news.step or self.step
        self.progress = self.progress if news.progress is None else news.progress
        self.previewed |= news.previewed
        self.tell()

    def end(self, state: State, *, notes: tuple[str, ...] = (), detail: str | None = None) -> None:
        """Be over."""
        self.state, self.step, self.ended = state, state, time.monotonic()
        self.notes = tuple(in_fields(in_names(note, self.names)) for note in notes)
        self.detail = detail and in_fields(self._in_names(detail))
        self.tell()

    def tell(self) -> None:
        """Wake who watches it."""
        for wake in tuple(self.wake):
            wake()

    def facts(self, position: int) -> dict[str, Any]:
        """What a client is told; ``position`` is how many jobs are before it."""
        share, left = self._share_and_left()
        box, here = self.errand.box, f"/v1/jobs/{self.id}"
        enlarge = self.errand.order.enlarge
        preview = None
        if self.previewed and box:
            preview = {"x": box.x, "y": box.y, "width": box.width, "height": box.height}
            preview["enlarge"] = enlarge
        until = self.ended or time.monotonic()
        return {
            "id": self.id,
            "state": self.state,
            "step": self.step,
            "name": self.name,
            "result_name": self.result_name,
            "task": self.task,
            "weights": self.errand.weights,
            "width": self.header.width,
            "height": self.header.height,
            "kind": str(self.header),
            "enlarge": enlarge,
            "position": position,
            "progress": share,
            "elapsed_s": None if self.started is None else round(until - self.started, 2),
            "left_s": left,
            "notes": list(self.notes),
            "detail": self.detail,
            "preview": preview,
            "links": {
                "self": here,
                **{what: f"{here}/{what}" for what in ("events", "result", "after", "preview")},
                "before": f"{here}/before" if self.before.is_file() else None,
            },
        }

    def _share_and_left(self) -> tuple[float | None, float | None]:
        """The share that is done, and the seconds that are left; None where it is not known."""
        if self.state == "done":
            return 1.0, 0.0
        if self.state != "running" or self.restoring_since is None:
            return None, None
        elapsed = time.monotonic() - self.restoring_since
        if self.progress:
            return round(self.progress, 4), round(elapsed / self.progress - elapsed, 1)
        if self.expected_s:
            share = min(elapsed / self.expected_s, NEARLY)
            return round(share, 4), round(max(self.expected_s - elapsed, 0.5), 1)
        return None, None

    def _in_names(self, line: str) -> str:
        """A line as the client may read it."""
        line = in_names(line, self.names).removeprefix(f"{self.name}: ")
        line = line.replace(f"{self.folder}/", "").replace(str(self.folder.parent), "the server")
        return line if line.startswith(tuple(self.names.values())) else f"{self.name}: {line}"
