"""What is asked of Ray, and what it answers, without starting it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirnet.errors import ClusterError, MissingDependencyError
from mirnet.inference.cluster import session
from mirnet.inference.cluster.session import Place, Session, connected, why_it_died


class FakeRay:
    """A package whose cluster has these nodes, and that starts as it is told."""

    def __init__(self, *nodes: dict[str, Any], start: Any = lambda: None) -> None:
        self._nodes, self._start = nodes, start
        self.asked: dict[str, Any] = {}
        self.is_down = False
        self.exceptions = SimpleNamespace(RayError=RuntimeError)

    def nodes(self) -> list[dict[str, Any]]:
        return list(self._nodes)

    def init(self, **asked: Any) -> None:
        self.asked = asked
        self._start()

    def shutdown(self) -> None:
        self.is_down = True

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(gcs_address="127.0.0.1:1")


def node(name: str, *, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": name, "NodeManagerAddress": name, "Alive": alive, "Resources": resources}


def places(ray: Any, cores: int, *, on_gpus: bool = True) -> list[tuple[str, int, int, int, int]]:
    found = Session(ray).places(cores, on_gpus=on_gpus)
    return [(each.node, each.number, each.cores, each.gpus, each.share) for each in found]


def test_each_node_has_a_worker_for_so_many_cores_and_a_smaller_one_has_one() -> None:
    ray = FakeRay(node("a", CPU=5.0), node("b", CPU=1.0), node("c"), node("d", alive=False, CPU=8))
    assert places(ray, 2) == [("a", 0, 2, 0, 2), ("b", 0, 1, 0, 1), ("a", 1, 2, 0, 2)]


def test_a_node_with_gpus_has_a_worker_for_each() -> None:
    ray = FakeRay(node("a", CPU=3.0, GPU=2.0), node("b", CPU=2.0))
    assert places(ray, 2) == [("a", 0, 1, 1, 2), ("b", 0, 2, 0, 1), ("a", 1, 1, 1, 2)]
    assert places(ray, 2, on_gpus=False) == [("a", 0, 2, 0, 1), ("b", 0, 2, 0, 1)]


def test_a_cluster_without_a_core_is_refused() -> None:
    with pytest.raises(ClusterError, match="no node of the cluster has a core"):
        places(FakeRay(node("a"), node("b", alive=False, CPU=4)), 2)


def test_a_head_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PAUSE_S", 0)
    ray: Any = FakeRay(node("a", CPU=1))  # nobody listens at port 1
    lost = Session(ray)
    with pytest.raises(ClusterError, match=r"the head of the cluster .* is lost"):
        lost.has(Place("a", "a", 0, 1, 0, 1))


def test_one_connection_that_fails_is_no_lost_head(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ClusterError("reset"), ClusterError("reset")]

    def fail(address: str, what: str) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(session, "PAUSE_S", 0)
    monkeypatch.setattr(session, "_require_reachable", fail)
    lasting: Any = FakeRay(node("a", CPU=1))
    Session(lasting).require_head()
    assert failures == []


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    """Ray as `connected` finds it; what is set in the environment is as it was afterwards."""
    for name in (*session.SETTINGS, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", fake)
    yield fake
    for name in session.SETTINGS:
        os.environ.pop(name, None)


def test_without_an_address_a_quiet_ray_is_started_and_ended(ray: FakeRay) -> None:
    with connected(None):
        assert ray.asked["address"] == "local"
        assert ray.asked["num_cpus"] >= 1
        assert not ray.asked["log_to_driver"]
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        assert not ray.is_down
    assert ray.is_down


def test_what_is_set_in_the_environment_stays(
    ray: FakeRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        with connected(None):
            assert ray.asked["address"] == os.environ["RAY_ADDRESS"]
            assert "num_cpus" not in ray.asked
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "--address 127.0.0.1:1: there is no Ray cluster"),
        ("127.0.0.1:99999", "there is no Ray cluster"),
        ("no-such-host.invalid:6379", "there is no Ray cluster"),
        ("ray://127.0.0.1:10001", "--address: must be HOST:PORT"),
        ("somewhere", "--address: must be HOST:PORT"),
        (":6379", "--address: must be HOST:PORT"),
    ],
)
def test_an_address_where_no_cluster_is_gets_one_line(
    address: str, words: str, ray: FakeRay
) -> None:
    with pytest.raises(ClusterError, match=words) as raised, connected(address):
        pytest.fail("was connected")
    assert "\n" not in str(raised.value)
    assert ray.asked == {}


def test_what_ray_raises_when_it_starts_becomes_one_line(ray: FakeRay) -> None:
    def start() -> None:
        raise ConnectionError("Could not find any\nrunning Ray instance")

    ray._start = start
    with pytest.raises(ClusterError, match="Could not find any running Ray"), connected("auto"):
        pytest.fail("was connected")
    assert ray.is_down


def test_what_ray_raises_later_becomes_one_line(ray: FakeRay) -> None:
    with pytest.raises(ClusterError, match="Ray: the object store is full"), connected(None):
        raise ray.exceptions.RayError("the object\nstore is full")
    assert ray.is_down


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "mirnet\[scale\]"'):  # noqa: SIM117
        with connected(None):
            pytest.fail("was connected")


def test_the_handlers_of_signals_stay_ours(ray: FakeRay) -> None:
    class OursError(BaseException):
        pass

    def ours(*_: object) -> None:
        raise OursError

    def start() -> None:  # as Ray does
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
        if ray.is_down:
            signal.raise_signal(signal.SIGTERM)

    ray._start = start
    before = signal.signal(signal.SIGTERM, ours)
    try:
        with connected(None):
            assert signal.getsignal(signal.SIGTERM) is ours
        with pytest.raises(OursError), connected(None):  # the signal comes while Ray starts
            pytest.fail("was connected")
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_death_is_told_in_a_few_words() -> None:
    long = (
        "The actor died unexpectedly before finishing this task.\n\tclass_name: Worker\n"
        "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR "
        "Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of "
        "file. Some common causes include: (1) the process was killed by the OOM killer."
    )
    words = "Worker unexpectedly exits with a connection error code 2"
    assert why_it_died(RuntimeError(long)) == words
    assert why_it_died(RuntimeError("The node\nis gone. And so on.")) == "The node is gone"
    of_a_task = RuntimeError("a long traceback")
    of_a_task.cause = MemoryError("no more")  # type: ignore[attr-defined]
    assert why_it_died(of_a_task) == "MemoryError: no more"


def test_a_batch_in_this_process_never_loads_ray(tmp_path: Path, tiny_weights: Path) -> None:
    (tmp_path / "text.png").write_text("no photo")
    arguments = ["restore", str(tmp_path / "text.png"), "-o", str(tmp_path / "out")]
    arguments += ["--weights", str(tiny_weights)]
    program = "import sys; from mirnet.cli.app import main; print(main(sys.argv[1:])); "
    program += "print('torch' in sys.modules, 'ray' in sys.modules)"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["1", "True False"]
