"""Give photos out to workers, a few each, and again those that a worker had when it died."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from mirnet.atomic import marked
from mirnet.environment import code_sha256
from mirnet.errors import ClusterError, MirnetError
from mirnet.inference.batch import Outcome, Todo, still_to_do
from mirnet.inference.cluster.crew import Answer, Crew, Member
from mirnet.inference.cluster.session import Place, Session, connected, why_it_died
from mirnet.inference.cluster.worker import AT_ONCE, Came, Make, Site
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.ledger import Way
from mirnet.inference.places import Address, Location
from mirnet.inference.stores import Silence
from mirnet.units import counted

logger = logging.getLogger("mirnet")

CORES = 2
"""Of a worker, unless told."""
DEATHS = 3
"""When so many workers have died of a photo it is given up."""
UNREADY, USELESS = 3, 10
"""When so many workers have died at a place, one after the other, before they were ready or without
having restored a photo, it is given up."""
PATIENCE_S = 5.0
"""So often the cluster is asked whether it is still there."""
SLOW_S = 60.0
"""After so long without any worker that is ready a word is said."""

Tell = Callable[[int, int, Location], None]
Told = TypeVar("Told")


def run_on_cluster(
    plan: Plan,
    load: Callable[[], Make],
    *,
    output: Location,
    address: str | None = None,
    cores_per_worker: int = CORES,
    on_gpus: bool = True,
    way: Callable[[], Way] = dict,
    overwrite: bool = False,
    progress: Tell = lambda done, total, source: None,
    outcome: Outcome | None = None,
) -> Outcome:
    """Restore the photos on the nodes of a Ray cluster, as ``batch.run`` does in this process.

    A photo that a worker had in hand when it died is given out again, alone, so that one that
    brings workers down is told from its neighbours; it is noted when the third has died of it.

    Args:
        plan: the photos, in stores or at the same place on all nodes, as the output folder is.
        load: gives what makes the steps on a node, and can be pickled; it is not called if all is
            done already.
        output: the folder for the results, or its address in a store; it is made if need be. Its
            ledger is written here.
        address: of the cluster, as in ``connected``.
        cores_per_worker: how many cores a worker computes on; all of a smaller node.
        on_gpus: whether a node with GPUs has a worker for each instead.
        way: as in ``batch.run``.
        overwrite: as in ``batch.run``.
        progress: called at the start and after each photo, with how many are done, of how many.
        outcome: what is filled, for who wants to know after an interrupt.

    Raises:
        PhotoError: the output folder can't be written; nothing was begun.
        ClusterError: there is no cluster, a node lacks what it should have in common, or all
            workers are lost.
        MissingDependencyError: Ray, or what speaks to a store, is not installed.
    """
    if cores_per_worker < 1:
        raise ValueError(f"cores_per_worker: is a number above 0, got {cores_per_worker}")
    outcome = Outcome() if outcome is None else outcome
    todo = still_to_do(plan, output=output, way=way, overwrite=overwrite, outcome=outcome)
    if not todo.jobs:
        return outcome
    make = load()
    marking = marked(output) if isinstance(output, Path) else nullcontext()
    with connected(address) as session, marking as mark:
        crew = Crew(session, make, _site(todo.jobs, mark))
        dispatch = _Dispatch(session, crew, todo, outcome, progress)
        try:
            dispatch.run(session.places(cores_per_worker, on_gpus=on_gpus))
        finally:
            dispatch.end()
    return outcome


class _Dispatch:
    """Which photos wait, and what comes of them."""

    def __init__(
        self, session: Session, crew: Crew, todo: Todo, outcome: Outcome, progress: Tell
    ) -> None:
        self._session, self._crew, self._todo = session, crew, todo
        self._outcome, self._progress = outcome, progress
        self._waiting, self._again = deque(todo.jobs), deque[Job]()
        self._done, self._slow = 0, time.monotonic() + SLOW_S
        self._silence = Silence()
        self._died_of: dict[Job, list[str]] = {}  # the nodes
        self._died_at: Counter[Place] = Counter()

    def run(self, places: list[Place]) -> None:
        """Go on until there is an answer for every photo."""
        for place in places:
            self._crew.hire(place)
        total = len(self._todo.jobs)
        self._progress(0, total, self._todo.jobs[0].source)
        asked = time.monotonic()
        while self._done < total:
            answer = self._crew.answer(PATIENCE_S)
            if answer and answer.member in self._crew.members:  # else it died; that was seen to
                self._take(answer)
            if time.monotonic() > asked + PATIENCE_S:
                self._session.require_head()
                self._say_if_slow()
                asked = time.monotonic()

    def end(self) -> None:
        """Take what is being written, end all workers, and put the report in the photos' order."""
        try:
            for member, job, came in self._crew.finish():
                self._note(member, job, came)
        finally:
            for member in list(self._crew.members):
                self._crew.dismiss(member)
            _put_in_order(self._outcome, self._todo.jobs)
            try:
                self._todo.save()
            except (MirnetError, OSError) as error:  # the report is worth more
                logger.warning("%s; what is done is not noted there", error)

    def _take(self, answer: Answer) -> None:
        member, job, future = answer
        try:
            came = future.result()
        except Exception as error:
            logger.debug("%s", member.place.name, exc_info=True)
            cause = getattr(error, "cause", None)
            if isinstance(cause, MirnetError):  # the node can't be used, and it says why
                raise cause from None
            self._lose(member, why_it_died(error))
            return
        if job is None:
            member.signature = came
        else:
            self._note(member, job, came)
        self._feed(member)

    def _note(self, member: Member, job: Job, came: Came) -> None:
        for level, line in came.said:
            logger.log(level, "%s", line)
        if came.failure is None:
            self._todo.note(job, came.content)
            member.jobs.remove(
                job
            )  # not before: a signal may come, and `end` asks for what is left
            self._outcome.note_restored(job, came.notes)
            self._died_at[member.place] = 0
        else:
            self._outcome.note_failed(job, came.failure)
            member.jobs.remove(job)
        self._hear(job, came)
        self._count(job)

    def _hear(self, job: Job, came: Came) -> None:
        """Give up a store that is silent for photo after photo: each costs its tries."""
        if came.silent is None:
            self._silence.ends(*job.stores)
            return
        silent, spent_s = came.silent
        if not self._silence.lasts(silent, spent_s):
            return
        if left := [each for each in self._waiting if silent in each.stores]:
            self._waiting = deque(each for each in self._waiting if silent not in each.stores)
            self._outcome.failures[Address(silent)] = (
                f"{silent}: answers no more; {counted(len(left), 'photo')} of it not tried: run "
                "the same command again to go on"
            )
            self._done += len(left)

    def _feed(self, member: Member) -> None:
        """Give a worker what it has room for; what one has died of goes alone."""
        if any(job in self._died_of for job in member.jobs):
            return
        again = next((job for job in self._again if self._may_have(member, job)), None)
        if again is None:
            while self._waiting and len(member.jobs) < AT_ONCE:
                self._crew.give(member, self._waiting.popleft())
        elif not member.jobs:  # else when it has none
            self._again.remove(again)
            self._crew.give(member, again)

    def _may_have(self, member: Member, job: Job) -> bool:
        """Whether it is on another node than the job's last worker, or there is no other."""
        last = self._died_of[job][-1]
        others = (each for each in self._crew.members if each.place.node != last)
        return member.place.node != last or not any(each.is_ready for each in others)

    def _lose(self, member: Member, why: str) -> None:
        """A worker died: its photos wait again, and another takes its place, if that is there."""
        self._crew.dismiss(member)
        place = member.place
        lost = f"; {counted(len(member.jobs), 'photo')} in its hands" if member.jobs else ""
        logger.warning("%s: a worker died (%s)%s", place.name, why, lost)
        for job in member.jobs:
            self._died_of.setdefault(job, []).append(place.node)
            if len(self._died_of[job]) < DEATHS:
                self._again.append(job)
                continue
            self._outcome.note_failed(
                job,
                f"{job.source}: {DEATHS} workers died of it (the last: {why}); give workers more "
                "memory, or restore it without --engine ray, from a folder",
            )
            self._count(job)
        self._died_at[place] += 1
        most = USELESS if member.is_ready else UNREADY
        if self._died_at[place] < most and self._session.has(place):
            self._crew.hire(place)
            self._slow = time.monotonic() + SLOW_S
        elif not self._crew.members and self._done < len(self._todo.jobs):
            raise ClusterError(
                f"Ray: all workers are lost (the last, on {place.name}: {why}); run the same "
                "command again to go on"
            )
        for other in self._crew.members:
            if other.is_ready:
                self._feed(other)

    def _say_if_slow(self) -> None:
        if time.monotonic() > self._slow and not any(each.is_ready for each in self._crew.members):
            logger.warning("no worker is ready yet: other work may have the cluster's cores")
            self._slow = float("inf")

    def _count(self, job: Job) -> None:
        self._done += 1
        self._progress(self._done, len(self._todo.jobs), job.source)


def _site(jobs: list[Job], mark: Path | None) -> Site:
    places = [place for job in jobs for place in (*job.sources, job.target)]
    paths = [place for place in places if isinstance(place, Path)]
    sources = (job.source for job in jobs)
    return Site(
        code=code_sha256(),
        home=None if all(path.is_absolute() for path in paths) else Path.cwd(),
        mark=mark,
        photos=next((source.parent for source in sources if isinstance(source, Path)), None),
        level=logger.getEffectiveLevel(),
        protocols=frozenset(each.protocol for each in places if isinstance(each, Address)),
    )


def _put_in_order(outcome: Outcome, jobs: list[Job]) -> None:
    """First what was known before the photos were given out."""
    order = {job.source: number for number, job in enumerate(jobs)}
    outcome.failures = _sorted(outcome.failures, order)
    outcome.notes = _sorted(outcome.notes, order)


def _sorted(told: dict[Location, Told], order: dict[Location, int]) -> dict[Location, Told]:
    return dict(sorted(told.items(), key=lambda item: order.get(item[0], -1)))
