"""A server in a process of its own, as users have it."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

PATIENCE_S = 120


@dataclass(frozen=True)
class Server:
    address: str
    process: "subprocess.Popen[str]"
    temporary: Path
    """Where it puts its files."""

    def http(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=PATIENCE_S, **options)  # type: ignore[arg-type]


@contextmanager
def serving(temporary: Path, *arguments: str, path: Path | None = None) -> Iterator[Server]:
    """A server with these arguments, whose files go to a folder; ``path`` has modules first."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)}
    if path:
        places = (str(path), os.environ.get("PYTHONPATH", ""))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
    process = subprocess.Popen(
        [sys.executable, "-m", "mirnet", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        match = re.search(r"http://\S+", line)
        assert match, line
        yield Server(match[0], process, temporary)
    finally:
        process.terminate()
        process.wait(30)
        assert process.stdout
        process.stdout.close()


Start = Callable[..., Server]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests that change nothing of it."""
    with serving(_short_folder(tmp_path_factory)) as running:
        yield running


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts a server with arguments of a test's own."""
    from contextlib import ExitStack

    with ExitStack() as running:

        def begin(*arguments: str) -> Server:
            return running.enter_context(serving(_short_folder(tmp_path_factory), *arguments))

        yield begin


def _short_folder(factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp("serve")
    assert str(folder).startswith(tempfile.gettempdir())
    return folder
