"""Run a server until a signal ends it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import tempfile
import webbrowser
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
import uvicorn

from mirnet.errors import MirnetError
from mirnet.inference.devices import choose_device
from mirnet.web.app import create_app
from mirnet.web.settings import Settings

GRACE_S = 3
"""How long open connections may go on when the server ends."""


def serve(settings: Settings, *, opens: bool = False) -> None:
    """Serve until a signal comes. Prints the address, and ``opens`` it in a browser.

    Raises MirnetError if the address can't be listened on, or a device isn't there.
    """
    devices = _devices(settings.device)
    with _listening(settings) as listening, own_folder(Path(tempfile.gettempdir())) as folder:
        app, close = create_app(settings, devices, folder)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
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
    login = f"?token={settings.token}" if settings.token else ""
    return f"http://{host}:{listening.getsockname()[1]}/{login}"


@contextmanager
def own_folder(above: Path) -> Iterator[Path]:
    """A private folder that goes when the server ends; of one that was killed, with the next."""
    prefix = f"mirnet-serve-{zlib.crc32(platform.node().encode()):08x}-"
    for folder in above.glob(f"{prefix}*"):
        process = folder.name.removeprefix(prefix).partition("-")[0]
        if process.isdigit() and not psutil.pid_exists(int(process)):
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=above))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
