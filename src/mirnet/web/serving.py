"""Run a server until a signal ends it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import tempfile
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import h11
import torch
import uvicorn
from filelock import FileLock, Timeout
from uvicorn.protocols.http.h11_impl import H11Protocol

from mirnet.errors import MirnetError
from mirnet.inference.devices import choose_device
from mirnet.web.app import create_app
from mirnet.web.settings import Settings

PREFIX, LOCK = "mirnet-serve-", ".lock"
"""Of the folders for files, and in each of them."""
YOUNG_S = 60.0
HEAD_S = 20.0
"""How long the head of a request may take to come, in seconds."""
KEEP_ALIVE_S = 75
"""How long an idle connection is kept: longer than clients do, who would meet its end."""
GRACE_S = 3
"""How long open connections may go on when the server ends."""


def serve(settings: Settings, *, opens: bool = False) -> None:
    """Serve until a signal comes. Prints the address, and ``opens`` it in a browser.

    Raises MirnetError if the address can't be listened on, or a device isn't there.
    """
    devices = _devices(settings.device)
    _allow_many_files()
    with _listening(settings) as listening, own_folder(Path(tempfile.gettempdir())) as folder:
        app, close = create_app(settings, devices, folder)
        config = uvicorn.Config(
            app,
            log_level="error",  # what clients do wrong is told to them
            access_log=False,
            ws="none",
            timeout_keep_alive=KEEP_ALIVE_S,
            http=_Protocol,
            server_header=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        address = _address(settings, listening)
        print(f"mirnet serves at {address} (Ctrl-C ends it)", flush=True)
        if opens:
            webbrowser.open(address)
        _Server(config, close).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends its jobs before its connections: who watches one would hold a connection open."""

    def __init__(self, config: uvicorn.Config, close: Callable[[], None]) -> None:
        super().__init__(config)
        self._close = close

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGHUP too, which a terminal sends as it closes; not if nohup lets it be ignored."""
        number = getattr(signal, "SIGHUP", None)
        is_main = threading.current_thread() is threading.main_thread()
        with super().capture_signals():
            if number is None or not is_main or signal.getsignal(number) == signal.SIG_IGN:
                yield
                return
            before = signal.signal(number, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(number, before)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, and end."""
        self._close()
        await super().shutdown(sockets)


def _devices(device: str) -> tuple[str, ...]:
    """One name for each worker: every GPU, or the one device there is."""
    chosen = choose_device(device)
    if chosen.type == "cuda":
        return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count()))
    return (str(chosen),)


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = socket.create_server(
            (settings.host, settings.port), family=family, backlog=1024
        )
    except OSError as error:
        raise MirnetError(
            f"--host {settings.host} --port {settings.port}: can't be listened on "
            f"({error.strerror or error}); choose another, or --port 0 for any that is free"
        ) from error
    with listening:
        yield listening


def _address(settings: Settings, listening: socket.socket) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    if host in ("0.0.0.0", "[::]"):
        host = socket.gethostname()
    login = f"?token={quote(settings.token, safe='')}" if settings.token else ""
    return f"http://{host}:{listening.getsockname()[1]}/{login}"


@contextmanager
def own_folder(above: Path) -> Iterator[Path]:
    """A private folder that goes when the server ends; of one that was killed, with the next.

    A living server holds a lock in its folder, which the system takes from a dead one.
    """
    for folder in above.glob(f"{PREFIX}*"):
        _remove_if_dead(folder)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=above))
    try:
        with FileLock(folder / LOCK, timeout=0):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_if_dead(folder: Path) -> None:
    with suppress(OSError, Timeout):
        if time.time() - folder.stat().st_mtime < YOUNG_S and not (folder / LOCK).exists():
            return  # of a server that is about to take its lock
        with FileLock(folder / LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)


class _Protocol(H11Protocol):
    """HTTP that hangs up on who sends no request, or half of one's head."""

    _silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head, of the first request and of those that follow."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._expect_head()
        else:
            self._expect_no_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._expect_no_head()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        if self._silence is None:
            self._silence = self.loop.call_later(HEAD_S, self.transport.close)

    def _expect_no_head(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def _allow_many_files() -> None:
    """As many open files as the system lets this process have: each connection is one."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415  (not on Windows)

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
