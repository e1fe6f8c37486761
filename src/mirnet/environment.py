"""What a result is made with: files, code, the versions of what it stands on, and cores."""

from __future__ import annotations

import hashlib
import math
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def versions() -> dict[str, str]:
    """Versions of mirnet, and of what its results depend on."""
    return {
        **{name: version(name) for name in ("mirnet", "torch", "numpy")},
        "python": platform.python_version(),
        "system": platform.system(),
    }


def cores() -> int:
    """Those that this process may use, where the system tells; a container's share, rounded up."""
    has_affinity = hasattr(os, "sched_getaffinity")
    mine = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min([mine, *(math.ceil(share) for share in _shares() if share > 0)])


def control_groups(controller: str) -> Iterator[tuple[Path, int]]:
    """Folders of this process's control groups, and of those around them: ``cpu`` or ``memory``.

    Each with the version of its files, 1 or 2; there may be no such folder. None but on Linux.
    """
    try:
        lines = _MEMBERSHIP.read_text(errors="replace").splitlines()
    except OSError:  # no Linux
        return
    for line in lines:
        number, controllers, path = line.split(":", 2)
        is_first = controller in controllers.split(",")
        if number != "0" and not is_first:
            continue
        folder = (_CGROUP / controller if is_first else _CGROUP) / path.lstrip("/")
        for each in (folder, *folder.parents):
            yield each, 1 if is_first else 2


def _shares() -> Iterator[float]:
    """How many cores' time each control group may take; below 0 is no limit."""
    for folder, edition in control_groups("cpu"):
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if edition == 1 else ("cpu.max",)
        # No such group here, or its limit is "max".
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            yield int(quota) / int(period)


def processor() -> str:
    """Its name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def file_sha256(path: Path) -> str:
    """The SHA-256 of all that a file holds. OSError if there is none."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_sha256() -> str:
    """Of mirnet's own source: between two releases, a version number does not say which code ran.

    It is the same wherever the package lies.
    """
    root = Path(__file__).parent
    content = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        content.update(path.relative_to(root).as_posix().encode() + b"\0")
        content.update(path.read_bytes() + b"\0")
    return content.hexdigest()
