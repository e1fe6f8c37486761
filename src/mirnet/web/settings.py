"""What a server is told when it starts."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass

from mirnet.choices import Device, Precision, Runtime
from mirnet.errors import ConfigError

LOOPBACK = "localhost"
SYNC_PIXELS = 1 << 21
"""Pixels of a result up to which a photo may be restored while the client waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server is told when it starts.

    Attributes:
        host: the address to listen on; others than loopback need a token.
        port: 1–65535, or 0 for any that is free.
        token: what clients must show; None for none.
        names: by which the server may be called, beside localhost, addresses and ``host``.
        max_bytes: of a request, at least 1 MiB.
        max_pixels: of a photo, and of its result.
        max_jobs: photos that wait or arrive at one time, from 1.
        job_s: the longest that a photo may take, in seconds.
        keep_s: how long results are kept, in seconds.
        device, precision, memory, runtime: as for ``Restorer``.

    Raises ConfigError for a value out of its range.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    names: tuple[str, ...] = ()
    max_bytes: int = 256 << 20
    max_pixels: int = 200_000_000
    max_jobs: int = 32
    job_s: float = 3600.0
    keep_s: float = 3600.0
    device: Device = "auto"
    precision: Precision = "auto"
    memory: int | None = None
    runtime: Runtime = "auto"

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"--port: must be from 0 to 65535, got {self.port}")
        if self.max_bytes < 1 << 20:
            raise ConfigError(f"--max-bytes: must be 1MiB or more, got {self.max_bytes}")
        for name in ("max_pixels", "max_jobs"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{_typed(name)}: must be 1 or more, got {getattr(self, name)}")
        for name in ("job_s", "keep_s"):
            if not 1 <= getattr(self, name) < float("inf"):
                raise ConfigError(
                    f"--{_typed(name)}: must be 1 second or more, got {getattr(self, name):g}"
                )
        if self.token is not None and not re.fullmatch(r"[!-~]{16,}", self.token):
            raise ConfigError(
                "--token: must have 16 characters or more, of ASCII and no blanks; without, a new "
                "one is made"
            )
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(
                f"--host {self.host}: is not this machine alone, so it needs a --token"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == LOOPBACK


def new_token(host: str) -> str | None:
    """A token for an address that others reach; None for one that they don't."""
    return None if is_loopback(host) else secrets.token_urlsafe(24)


def _typed(name: str) -> str:
    return name.replace("_", "-")
