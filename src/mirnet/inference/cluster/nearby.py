"""A photo of a store on a node: fetched to a temporary file, and its result put back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mirnet.atomic import temporary
from mirnet.inference.jobs import Job
from mirnet.inference.ledger import content_of
from mirnet.inference.places import Address, Location
from mirnet.inference.stores import fetch, put


@dataclass(frozen=True, slots=True)
class Nearby:
    """A job, and the same with all its files on this node.

    Attributes:
        job: as it was given.
        here: with temporary files in the place of what lies in a store.
        names: of these, for messages.
    """

    job: Job
    here: Job
    names: dict[Path, str]

    def bring(self) -> str:
        """Fetch what lies in a store; returns what the content is known by."""
        if isinstance(self.here.target, Path):
            self.here.target.parent.mkdir(parents=True, exist_ok=True)
        if not any(isinstance(source, Address) for source in self.job.sources):
            return content_of(*self.job.sources)
        return content_of(*map(_brought, self.job.sources, self.here.sources))

    def deliver(self) -> None:
        """Put the result where it belongs, if that is in a store."""
        if isinstance(self.job.target, Address) and isinstance(self.here.target, Path):
            put(self.here.target, self.job.target)


@contextmanager
def nearby(job: Job) -> Iterator[Nearby]:
    """Yield the job with names for files on this node, which go with the block."""
    names: dict[Path, str] = {}
    with ExitStack() as stack:

        def here(place: Location) -> Path:
            if isinstance(place, Path):
                return place
            path = stack.enter_context(temporary(Path(tempfile.gettempdir()), place.suffix))
            names[path] = str(place)
            return path

        right = None if job.right is None else here(job.right)
        yield Nearby(job, Job(here(job.source), here(job.target), right), names)


def _brought(source: Location, here: Location) -> Location:
    """The source as it was when it came."""
    if isinstance(source, Address) and isinstance(here, Path):
        return replace(source, version=fetch(source, here))
    return source
