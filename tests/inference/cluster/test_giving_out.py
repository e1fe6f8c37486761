"""Who gets which photo, and who is given up, with workers that only pretend."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirnet.errors import ClusterError, DeviceError
from mirnet.inference.batch import Outcome
from mirnet.inference.cluster import dispatch
from mirnet.inference.cluster.crew import Answer, Member
from mirnet.inference.cluster.dispatch import DEATHS, UNREADY, USELESS, run_on_cluster
from mirnet.inference.cluster.session import Place
from mirnet.inference.cluster.worker import AT_ONCE, Came
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.places import Address, placed
from mirnet.inference.stores import LOST, LOST_S

Kills = Callable[[str, str | None], Exception | None]
"""By node and photo, or none while a worker gets ready: what it dies of."""


class Cluster:
    """Nodes, and workers that answer at once; one that dies loses what it was given after it."""

    def __init__(self, *nodes: str, kills: Kills = lambda node, name: None) -> None:
        self.alive, self.kills = list(nodes), kills
        self.silent: set[str] = set()
        self.members: list[Member] = []
        self.given: list[tuple[str, list[str]]] = []
        self.has_head = True
        self._answers: deque[Answer] = deque()
        self._dead: dict[Member, Exception] = {}

    def places(self, cores_per_worker: int, *, on_gpus: bool) -> list[Place]:
        return [Place(node, node, 0, cores_per_worker, 0, 1) for node in self.alive]

    def has(self, place: Place) -> bool:
        return place.node in self.alive

    def require_head(self) -> None:
        if not self.has_head:
            raise ClusterError("the head is lost")

    def hire(self, place: Place) -> None:
        member = Member(place, None)
        self.members.append(member)
        self._answer(member, None, "signature")

    def give(self, member: Member, job: Job) -> None:
        member.jobs.append(job)
        self.given.append((member.place.node, [each.source.name for each in member.jobs]))
        self._answer(member, job, self.came(job))

    def came(self, job: Job) -> Came:
        if str(job.source) not in self.silent:
            return Came("content")
        return Came(
            failure=f"{job.source}: the store can't be used", silent=("s3://dead", LOST_S / 20)
        )

    def answer(self, timeout_s: float) -> Answer | None:
        return self._answers.popleft() if self._answers else None

    def dismiss(self, member: Member) -> None:
        self.members.remove(member)

    def finish(self) -> Iterator[Any]:
        yield from ()

    def _answer(self, member: Member, job: Job | None, thing: object) -> None:
        future: Future[Any] = Future()
        dies = self.kills(member.place.node, job.source.name if job else None)
        if dies:
            self._dead.setdefault(member, dies)
        if member in self._dead:
            future.set_exception(self._dead[member])
        else:
            future.set_result(thing)
        self._answers.append(Answer(member, job, future))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Gives photos of these names out on a cluster; its outcome is filled even if it raises."""

    def go(cluster: Cluster, *names: str, outcome: Outcome | None = None) -> Outcome:
        @contextmanager
        def connected(address: str | None) -> Iterator[Cluster]:
            yield cluster

        monkeypatch.setattr(dispatch, "connected", connected)
        monkeypatch.setattr(dispatch, "Crew", lambda session, make, site: cluster)
        sources = [placed(name) if "://" in name else tmp_path / name for name in names]
        jobs = [Job(each, tmp_path / "out" / each.name) for each in sources]
        load: Any = lambda: None  # noqa: E731
        return run_on_cluster(Plan(jobs), load, output=tmp_path / "out", outcome=outcome)

    return go


def test_a_worker_has_no_more_than_three_in_hand_and_all_work(run: Callable[..., Outcome]) -> None:
    cluster = Cluster("a", "b")
    outcome = run(cluster, *map(str, range(20)))
    assert outcome.restored == 20
    assert max(len(hand) for _, hand in cluster.given) == AT_ONCE
    assert {node for node, _ in cluster.given} == {"a", "b"}
    assert cluster.members == []


def test_a_store_that_answers_no_more_is_given_up_and_others_go_on(
    run: Callable[..., Outcome],
) -> None:
    """Each photo would cost its tries. One that comes between shows that it answers."""
    dead = [f"s3://dead/{i}.jpg" for i in range(60)]
    cluster = Cluster("a", "b")
    cluster.silent = {*dead[5:]}
    outcome = run(cluster, *dead, *(f"s3://alive/{i}.jpg" for i in range(30)))
    assert outcome.restored == 35
    lost = outcome.failures.pop(Address("s3://dead"))
    in_hand = len(outcome.failures) - 20
    assert 0 <= in_hand < 2 * AT_ONCE
    assert lost.startswith(
        f"s3://dead: answers no more; {35 - in_hand} photos of it not tried: run"
    )
    cluster = Cluster("a")
    cluster.silent = {*dead[:LOST]}
    assert run(cluster, *dead).restored == 60 - LOST, "few that fail fast are no sign"
    cluster = Cluster("a", "b")
    cluster.silent = {*dead} - {*dead[::15]}
    assert len(run(cluster, *dead).failures) == 56


def test_what_a_dead_worker_had_goes_alone_to_another_node(run: Callable[..., Outcome]) -> None:
    cluster = Cluster("a", "b", kills=lambda node, name: lost(node == "a" and name == "1"))
    outcome = run(cluster, *"0123456789")
    assert (outcome.restored, outcome.failures) == (10, {})
    again = [(node, hand) for node, hand in cluster.given if hand == ["1"]]
    assert again == [("b", ["1"])]


def test_a_photo_that_workers_die_of_is_given_up_and_its_neighbours_are_not(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    for nodes in ("a", "ab"):
        cluster = Cluster(*nodes, kills=lambda node, name: lost(name in ("1", "2")))
        outcome = run(cluster, *"01234")
        assert outcome.restored == 3
        assert list(outcome.failures) == [tmp_path / "1", tmp_path / "2"]
        given = [hand[-1] for _, hand in cluster.given]
        assert (given.count("1"), given.count("2")) == (DEATHS, DEATHS)


def test_a_place_where_all_die_is_given_up(run: Callable[..., Outcome]) -> None:
    hired: list[str] = []

    def kills(node: str, name: str | None) -> Exception | None:
        hired.extend([node] if name is None else [])
        return lost(node == "bad")

    assert run(Cluster("bad", "good", kills=kills), *map(str, range(9))).restored == 9
    assert hired.count("bad") == UNREADY


def test_a_place_that_never_restores_anything_is_given_up(run: Callable[..., Outcome]) -> None:
    cluster = Cluster("a", kills=lambda node, name: lost(name is not None))
    outcome = Outcome()
    with pytest.raises(ClusterError, match=r"all workers are lost .*run the same command again"):
        run(cluster, *map(str, range(99)), outcome=outcome)
    assert 0 < len(outcome.failures) <= USELESS // DEATHS
    assert outcome.restored == 0


def test_a_node_that_is_gone_gets_no_more_workers(run: Callable[..., Outcome]) -> None:
    def kills(node: str, name: str | None) -> Exception | None:
        if node == "a" and name == "4":
            cluster.alive.remove("a")
        return lost("a" not in cluster.alive and node == "a")

    cluster = Cluster("a", "b", kills=kills)
    assert run(cluster, *map(str, range(20))).restored == 20
    alone = Cluster("a", kills=kills)
    cluster = alone
    with pytest.raises(ClusterError, match="all workers are lost"):
        run(alone, *map(str, range(20)))


def test_a_head_that_is_lost_ends_it_though_workers_answer(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "PATIENCE_S", 0)

    def kills(node: str, name: str | None) -> None:
        cluster.has_head = name != "8"

    cluster, outcome = Cluster("a", kills=kills), Outcome()
    with pytest.raises(ClusterError, match="the head is lost"):
        run(cluster, *map(str, range(20)), outcome=outcome)
    assert 0 < outcome.restored < 20
    assert cluster.members == []


def test_what_a_node_says_of_itself_ends_it_in_its_words(run: Callable[..., Outcome]) -> None:
    error = RuntimeError("a long traceback")
    error.cause = DeviceError("device cuda: is not there")  # type: ignore[attr-defined]
    with pytest.raises(DeviceError, match="device cuda: is not there"):
        run(Cluster("a", kills=lambda node, name: error), "0")


def test_that_no_worker_gets_ready_is_said_once(
    run: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(dispatch, "PATIENCE_S", 0)
    monkeypatch.setattr(dispatch, "SLOW_S", -1)
    cluster = Cluster("a")
    silent, as_before = iter(range(9)), cluster.answer
    monkeypatch.setattr(
        cluster, "answer", lambda timeout_s: as_before(0) if next(silent, 9) == 9 else None
    )
    assert run(cluster, "0").restored == 1
    assert caplog.text.count("no worker is ready yet") == 1


def lost(is_so: bool) -> Exception | None:
    return RuntimeError("Worker is lost. And more") if is_so else None
