"""The clients of stores: found, configured, and asked again when they fail."""

from __future__ import annotations

import ftplib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from mirnet.errors import (
    MirnetError,
    MissingDependencyError,
    PhotoError,
    StoreError,
    one_line,
)
from mirnet.inference.places import QUERIED, Address

URL = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^\s/?#'\"]*@)?([^\s?'\"<>]*)(?:\?[^\s'\"<>]*)?", re.I)
PAUSES_S = (1.0, 4.0)
"""Before the second and the third try."""
SILENT_S = 60.0
"""After so long without a byte a server is not waited for, in seconds."""
MISSING = (404, 410)
"""HTTP's statuses of what is not there."""
SETTLED = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError,
           NotImplementedError)  # fmt: skip
"""What another try would not mend."""
PASSING = frozenset((408, 425, 429))
"""HTTP's statuses of 400 and more that another try may mend, beside those of 500 and more."""
Got = TypeVar("Got")


def require_client(protocol: str) -> None:
    """Raise MissingDependencyError if what speaks a protocol is not installed here."""
    try:
        from fsspec import get_filesystem_class  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise MissingDependencyError(
            f'{protocol}://…: stores need fsspec; pip install "mirnet[scale]" on every machine'
        ) from error
    try:
        get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        raise MissingDependencyError(
            f"{protocol}://…: {one_line(error)}; fsspec takes a package for each kind of store, "
            "such as s3fs for s3://, gcsfs for gs:// and adlfs for az://: pip install it on every "
            "machine"
        ) from error


def reached(address: Address) -> tuple[Any, str]:
    """The store, for this thread, and what it calls the place."""
    require_client(address.protocol)
    from fsspec import filesystem, get_filesystem_class  # noqa: PLC0415  (optional)

    # Not by `url_to_fs`: for that, two colons in a name or in a host begin another address.
    kind = get_filesystem_class(address.protocol)
    path = str(kind._strip_protocol(address.text))
    if not path.endswith(address.text.rpartition("/")[2]):
        raise PhotoError(f"{address}: has a name that its store's client cuts; rename it")
    options = _options(address.protocol) | kind._get_kwargs_from_urls(address.text)
    return filesystem(address.protocol, **options), path


def _options(protocol: str) -> dict[str, Any]:
    """For a store's client. That of HTTP would give up a file that takes more than five minutes."""
    if protocol not in QUERIED:
        return {}
    from aiohttp import ClientTimeout  # noqa: PLC0415  (what fsspec speaks HTTP with)
    from fsspec.config import conf  # noqa: PLC0415  (optional)

    patience = ClientTimeout(total=None, sock_connect=SILENT_S, sock_read=SILENT_S)
    configured = conf.get(protocol, {}).get("client_kwargs", {})  # else it would be left out
    return {"client_kwargs": {"timeout": patience, **configured}}


def _disconnect(protocol: str) -> None:
    """Let the next try begin anew: a client whose connection is lost may keep to it."""
    from fsspec import get_filesystem_class  # noqa: PLC0415  (optional)

    with suppress(Exception):
        get_filesystem_class(protocol).clear_instance_cache()


def patiently(
    address: Address, do: Callable[[], Got], missing: str = "there is no such photo or folder"
) -> Got:
    """Try again for a while: a connection that failed is no fault of the photo's.

    Raises PhotoError for what another try would not mend, and StoreError if the last one failed.
    """
    began = time.monotonic()
    for pause_s in _pauses():
        tried = time.monotonic()
        try:
            return do()
        except MirnetError:
            raise
        except Exception as found:  # noqa: BLE001  (each client has its own)
            error = behind(found)
            if isinstance(error, FileNotFoundError):
                raise PhotoError(f"{address}: {missing}") from None
            line = (
                f"{address}: the store can't be used ({_why(address, error)}); check the address, "
                "and that this machine may read and write there"
            )
            # Not from the error: its traceback may show the address in full.
            if _is_settled(error):
                raise PhotoError(line) from None
            now = time.monotonic()
            was_silent = isinstance(error, TimeoutError) and now - tried >= SILENT_S
            if pause_s is None or was_silent:  # which has been waited for enough
                raise StoreError(line, store=address.store, spent_s=now - began) from None
            _disconnect(address.protocol)
            time.sleep(pause_s)
    raise AssertionError  # the last try returns or raises


def behind(error: Exception) -> Exception:
    """What failed; some of fsspec's clients call a file missing, whatever its server said."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return error
    status = getattr(cause, "status", None)
    if status is None:
        is_of_http = type(cause).__module__.partition(".")[0] == "aiohttp"
        failed = is_of_http or isinstance(cause, OSError | ftplib.error_temp)
    else:
        failed = status not in MISSING
    return cause if failed else error


def _is_settled(error: Exception) -> bool:
    """Whether another try would give the same."""
    status = getattr(error, "status", None)
    is_refused = isinstance(status, int) and 400 <= status < 500 and status not in PASSING
    return is_refused or isinstance(error, SETTLED)


def _pauses() -> Iterator[float | None]:
    yield from PAUSES_S
    yield None


def _why(address: Address, error: Exception) -> str:
    if isinstance(error, TimeoutError) and not error.args:
        return f"nothing came for {SILENT_S:g} s"
    line = one_line(error).replace(address.text, str(address))
    return f"{type(error).__name__}: {_shown(line)}"[:300]


def _shown(line: str) -> str:
    """A line whose addresses hold no names, no passwords and no queries."""
    return URL.sub(r"\1\2", line)
