"""Ray, started here or found at an address: its nodes, and its failures in one line."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from mirnet.environment import cores
from mirnet.errors import ClusterError, MissingDependencyError, one_line

SETTINGS = {
    "RAY_worker_niceness": "0",  # of a Ray that is started here: as a batch in this process
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # told, it isn't warned about
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # what its daemons say; a worker's death has our own words
}
"""Of Ray, unless they are set: no reports to its makers, no chatter."""
OBJECTS = 256 << 20
"""Bytes of the object store of a Ray that is started here: the weights alone go through it."""
REACHED_S = 5.0
"""Seconds in which a cluster's head answers, or is not there."""
TRIES, PAUSE_S = 3, 2.0
"""How often a head that was there is asked before it is taken for lost, and the seconds between."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker goes.

    Attributes:
        node: the node's identity in Ray.
        name: its address, for messages.
        number: tells the places on a node apart.
        cores: that the worker has, 0 if all it needs is the GPU.
        gpus: 1 if it has one, 0 if not.
        share: how many workers have the node's memory together.
    """

    node: str
    name: str
    number: int
    cores: int
    gpus: int
    share: int


class Session:
    """A connection to Ray.

    Attributes:
        ray: the package.
    """

    def __init__(self, ray: ModuleType) -> None:
        """Of a package that is connected."""
        self.ray = ray
        self._head = str(ray.get_runtime_context().gcs_address)

    def places(self, cores_per_worker: int, *, on_gpus: bool) -> list[Place]:
        """One for each GPU of a node that has any; else for so many cores, or all of fewer.

        The nodes take turns. Raises ClusterError if there is none.
        """
        columns = [_on_node(node, cores_per_worker, on_gpus) for node in self._nodes()]
        places = [
            column[row]
            for row in range(max(map(len, columns), default=0))
            for column in columns
            if row < len(column)
        ]
        if not places:
            raise ClusterError(
                "Ray: no node of the cluster has a core to work with; start one with "
                "`ray start --address=… --num-cpus=…`"
            )
        return places

    def has(self, place: Place) -> bool:
        """Whether its node is still there. Raises ClusterError if the cluster's head is gone."""
        self.require_head()
        return any(node["NodeID"] == place.node for node in self._nodes())

    def require_head(self) -> None:
        """Raise ClusterError if the cluster's head is gone: Ray waits a minute, and ends us all.

        One connection that fails, on a busy machine or network, is no such sign.
        """
        what = f"Ray: the head of the cluster ({self._head}) is lost"
        for _ in range(TRIES - 1):
            with suppress(ClusterError):
                return _require_reachable(self._head, what)
            time.sleep(PAUSE_S)
        return _require_reachable(self._head, what)

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]


@contextmanager
def connected(address: str | None) -> Iterator[Session]:
    """Yield a connection to the cluster at an address, or else to a Ray that ends with the block.

    Args:
        address: as HOST:PORT, or ``auto`` for the one that was started on this machine. Unless
            told, that of the environment variable RAY_ADDRESS, if it is set.

    Raises:
        MissingDependencyError: Ray is not installed.
        ClusterError: there is no such cluster, or Ray failed, here or within the block.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    ray = _ray()
    try:
        _start(ray, address)
        yield Session(ray)
    except ray.exceptions.RayError as error:
        raise ClusterError(f"Ray: {_begun(error)}; docs/cluster.md says what helps") from error
    finally:
        ray.shutdown()


def why_it_died(error: Exception) -> str:
    """What Ray says of a worker's death, in a few words of its many."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, Exception):
        return f"{type(cause).__name__}: {one_line(cause)}"
    detail = re.search(r"exit detail: (.+?[^ ])[.:] ", one_line(error))
    return detail[1] if detail else _begun(error)


def _begun(error: Exception) -> str:
    """The first sentence: Ray's messages are long."""
    return one_line(error).partition(". ")[0].removesuffix(".")


def _ray() -> ModuleType:
    try:
        import ray  # noqa: PLC0415  (optional, and slow)
    except ImportError as error:
        raise MissingDependencyError(
            '--engine ray: Ray is not installed; pip install "mirnet[scale]", or leave it out'
        ) from error
    return ray


def _start(ray: ModuleType, address: str | None) -> None:
    ours: dict[str, Any] = {
        "num_cpus": cores(), "object_store_memory": OBJECTS, "include_dashboard": False
    }  # fmt: skip
    if address is not None:
        ours = {}
        _require_address(address)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    try:
        with _our_signals():
            ray.init(
                address=address or "local", log_to_driver=False, configure_logging=False, **ours
            )
    except Exception as error:  # Ray raises bare ones, too
        raise ClusterError(
            f"Ray: can't be started or joined ({_begun(error)}); docs/cluster.md says what helps"
        ) from error


def _on_node(node: dict[str, Any], cores_per_worker: int, on_gpus: bool) -> list[Place]:
    there = node["Resources"]
    has, gpus = int(there.get("CPU", 0)), int(there.get("GPU", 0)) if on_gpus else 0
    each = min(cores_per_worker, has // gpus if gpus else has)
    count = gpus or (has // each if each else 0)
    where = node["NodeID"], node["NodeManagerAddress"]
    return [Place(*where, number, each, min(gpus, 1), count) for number in range(count)]


def _require_address(address: str) -> None:
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "/" in address or not host or not port.isdigit():
        raise ClusterError(
            f"--address: must be HOST:PORT, as `ray start --head` tells it, or auto, got {address}"
        )
    _require_reachable(address, f"--address {address}: there is no Ray cluster")


def _require_reachable(address: str, what: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        with closing(socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_S)):
            pass
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"{what} ({one_line(error)}); start one with `ray start --head`, and run the same "
            "command again to go on"
        ) from error


@contextmanager
def _our_signals() -> Iterator[None]:
    """Keep the handlers of signals, which Ray replaces by its own when it starts."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in kept.items():
            if signal.getsignal(number) is not handler:  # so in the main thread alone
                signal.signal(number, handler)

    try:
        yield
    except SystemExit:  # Ray's answer to SIGTERM
        restore()
        signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        restore()
