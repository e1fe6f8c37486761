"""What a result is made with: files, code, the versions of what it stands on, and cores."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path


def versions() -> dict[str, str]:
    """Versions of mirnet, and of what its results depend on."""
    return {
        **{name: version(name) for name in ("mirnet", "torch", "numpy")},
        "python": platform.python_version(),
        "system": platform.system(),
    }


def cores() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
