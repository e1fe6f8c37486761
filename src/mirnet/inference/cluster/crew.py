"""The workers of a batch: started at their places, given photos, and ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from mirnet.atomic import remove_signed
from mirnet.inference.cluster.session import Place, Session
from mirnet.inference.cluster.worker import AT_ONCE, Came, Make, Site, Worker
from mirnet.inference.jobs import Job

ENDING_S = 20.0
"""For what is being written when the batch is stopped."""


class Member:
    """A worker, and the photos in its hands.

    Attributes:
        place: where it is.
        actor: what Ray knows it by.
        signature: of its temporary files; None until it is ready.
        jobs: the photos that it has been given and has not answered for.
    """

    def __init__(self, place: Place, actor: Any) -> None:
        """With no photos yet."""
        self.place, self.actor = place, actor
        self.signature: str | None = None
        self.jobs: list[Job] = []

    @property
    def is_ready(self) -> bool:
        """Whether it can be given photos."""
        return self.signature is not None


class Answer(NamedTuple):
    """What a worker says: of a photo, what came of it; or, of none, that it is ready."""

    member: Member
    job: Job | None
    future: Future[Any]


class Crew:
    """All workers, and what they answer.

    Attributes:
        members: those that are not known to be dead.
    """

    def __init__(self, session: Session, make: Make, site: Site) -> None:
        """Nobody yet; ``make`` and ``site`` are what each will load."""
        self.members: list[Member] = []
        self._ray, self._site = session.ray, site
        self._make = self._ray.put(make)
        self._answers: SimpleQueue[Answer] = SimpleQueue()

    def hire(self, place: Place) -> None:
        """Start a worker; it answers when it is ready."""
        from ray.util.scheduling_strategies import (  # noqa: PLC0415  (optional)
            NodeAffinitySchedulingStrategy,
        )

        actor = self._ray.remote(Worker).options(
            num_cpus=place.cores,
            num_gpus=place.gpus,
            scheduling_strategy=NodeAffinitySchedulingStrategy(place.node, soft=False),
            max_concurrency=AT_ONCE + 1,  # one more than photos, so that it can be told to finish
        )
        member = Member(place, actor.remote())
        self.members.append(member)
        ready = member.actor.load.remote(self._make, self._site, place.cores, place.share)
        self._watch(member, None, ready)

    def give(self, member: Member, job: Job) -> None:
        """Give it a photo; it answers when that is restored."""
        member.jobs.append(job)
        self._watch(member, job, member.actor.restore.remote(job))

    def answer(self, timeout_s: float) -> Answer | None:
        """The next answer; None if there is none in time.

        It is waited for here, and not within Ray, which lets few signals through.
        """
        with suppress(Empty):
            return self._answers.get(timeout=max(timeout_s, 0))
        return None

    def dismiss(self, member: Member) -> None:
        """End it, and remove what it was writing."""
        self.members.remove(member)
        with suppress(Exception):  # it is dead, or Ray is
            self._ray.kill(member.actor)
        if member.signature is not None:
            for folder in {job.target.parent for job in member.jobs}:
                if isinstance(folder, Path):
                    remove_signed(folder, member.signature)

    def finish(self) -> Iterator[tuple[Member, Job, Came]]:
        """Let all write what they are writing, and yield what came of photos until then."""
        busy = [member for member in self.members if member.jobs]
        for member in busy:
            self._watch(member, None, member.actor.finish.remote())
        deadline = time.monotonic() + ENDING_S
        while busy and (answer := self.answer(deadline - time.monotonic())):
            member, job, future = answer
            failed = future.exception() is not None
            if job is not None:
                written = [] if failed else [(job, future.result())]
            elif member in busy:
                busy.remove(member)
                written = [] if failed else future.result()
            else:  # it has just become ready
                continue
            yield from ((member, job, came) for job, came in written if job in member.jobs)

    def _watch(self, member: Member, job: Job | None, reference: Any) -> None:
        reference.future().add_done_callback(
            lambda future: self._answers.put(Answer(member, job, future))
        )
