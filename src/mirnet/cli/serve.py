"""``mirnet serve``: a local page and an HTTP API."""

from __future__ import annotations

import os

from mirnet.choices import Device, Precision, Runtime


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    name: tuple[str, ...] = (),
    open: bool = False,
    max_bytes: str = "256MiB",
    max_pixels: int = 200_000_000,
    max_jobs: int = 32,
    job_s: float = 3600,
    keep_s: float = 3600,
    device: Device = "auto",
    precision: Precision = "auto",
    memory: str | None = None,
    runtime: Runtime = "auto",
) -> None:
    """Open a page for restoring photos in a browser, and an HTTP API below /v1.

    It listens on this machine alone unless --host says otherwise; then clients need a token.

    Parameters
    ----------
    host
        The address to listen on, such as 0.0.0.0 for all.
    port
        The port; 0 is any that is free.
    token
        What clients must show, 16 characters or more; a new one where it is needed and neither this
        nor MIRNET_TOKEN gives one.
    name
        A further name that clients may call the server by.
    open
        Open the page in a browser.
    max_bytes
        The largest upload.
    max_pixels
        The largest photo, and the largest result.
    max_jobs
        How many photos may wait.
    job_s
        The longest that a photo may take, in seconds.
    keep_s
        How long results are kept, in seconds.
    device
        Where to compute; auto takes every GPU, or the CPU.
    precision
        Arithmetic of the network; auto is the fastest that is safe.
    memory
        The most that a worker may take on its device, such as 2GiB.
    runtime
        What computes; see `mirnet restore --help`.
    """
    from mirnet.errors import MissingDependencyError
    from mirnet.units import parse_bytes
    from mirnet.web.settings import Settings, new_token

    try:
        from mirnet.web.serving import serve as run
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f'mirnet serve: needs {error.name}; pip install "mirnet[serve]"'
        ) from error
    run(
        Settings(
            host=host,
            port=port,
            token=token or os.environ.get("MIRNET_TOKEN") or new_token(host),
            names=name,
            max_bytes=parse_bytes(max_bytes, name="--max-bytes"),
            max_pixels=max_pixels,
            max_jobs=max_jobs,
            job_s=job_s,
            keep_s=keep_s,
            device=device,
            precision=precision,
            memory=parse_bytes(memory, name="--memory") if memory is not None else None,
            runtime=runtime,
        ),
        opens=open,
    )
