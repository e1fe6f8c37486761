"""Photos in stores: S3 and its kin, HTTP, FTP, whatever fsspec knows an address of.

Each store's client finds its credentials by itself, on every machine, in its environment or its
files.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any, TypeVar

from mirnet.atomic import temporary_name
from mirnet.errors import (
    MirnetError,
    MissingDependencyError,
    PhotoError,
    StoreError,
    one_line,
)
from mirnet.inference.places import QUERIED, Address

URL = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^\s/?#'\"]*@)?([^\s?'\"<>]*)(?:\?[^\s'\"<>]*)?", re.I)
WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"))
"""Protocols by which a file is there when all of it is, and not before."""
VERSIONS = ("ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "Last-Modified", "mtime",
            "last_modified", "updated", "modify")  # fmt: skip
"""What clients call that by which a changed file is told, the surest first."""
PIECE = 1 << 23
"""Bytes that are read at a time."""
PAUSES_S = (1.0, 4.0)
"""Before the second and the third try."""
SILENT_S = 60.0
"""After so long without a byte a server is not waited for, in seconds."""
FOLDERS, DEPTH = 100_000, 64
"""The most folders below one, and folders in another: pages may link to each other without end."""
MISSING = (404, 410)
"""HTTP's statuses of what is not there."""
SETTLED = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError,
           NotImplementedError)  # fmt: skip
"""What another try would not mend."""
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


def files_below(folder: Address) -> list[tuple[Address, PurePath]]:
    """All files in a folder and below it in the order of their names, each with its place there.

    Empty for a folder that is not there: most stores have none that is empty. Raises PhotoError if
    it can't be listed, or has no end.
    """

    def found() -> list[tuple[Address, PurePath]]:
        store, root = _reached(folder)
        store.invalidate_cache()
        around = root.rstrip("/") + "/"
        try:
            # What most others call `find` leaves out what it could not list.
            has_own = folder.protocol in WHOLE
            listed = store.find(root, detail=True) if has_own else _walked(folder, store, root)
        except FileNotFoundError:
            return []
        below = {path.removeprefix(around): info for path, info in listed.items()}
        return [
            (Address(f"{folder}/{name}", _version(info)), PurePath(name))
            for name, info in sorted(below.items())
        ]

    return _patiently(folder, found)


def _walked(folder: Address, store: Any, root: str) -> dict[str, dict[str, Any]]:
    """All files below a folder by their names; raises whatever keeps one from being listed."""
    deepest = root.rstrip("/").count("/") + DEPTH
    found: dict[str, dict[str, Any]] = {}
    waiting, visited = [root], set[str]()
    while waiting:
        here = waiting.pop().rstrip("/")
        if here in visited:
            continue
        visited.add(here)
        if len(visited) > FOLDERS or here.count("/") > deepest:
            raise PhotoError(
                f"{folder}: has more than {FOLDERS:,} folders, or {DEPTH} and more one in another; "
                "name a part of it, or its photos in a list (--from-file)"
            )
        for info in store.ls(here, detail=True):
            if not info["name"].startswith(f"{root.rstrip('/')}/"):
                continue  # a link of a page to another
            if info["type"] == "directory":
                waiting.append(info["name"])
            else:
                found[info["name"]] = info
    return found


def version_of(address: Address) -> str:
    """What tells a file from what it was before: its size, and what its store says of it."""
    if address.version is not None:
        return address.version

    def asked() -> str:
        store, path = _reached(address)
        store.invalidate_cache()
        info = store.info(path)
        return _version(info) or str(info.get("size"))

    return _patiently(address, asked)


def fetch(address: Address, path: Path) -> str:
    """Download a file, and return its version.

    It may take half of the disk that is free. Raises PhotoError if that is not enough, or it can't
    be had.
    """

    def fetched() -> str:
        most = shutil.disk_usage(path.parent).free // 2
        store, there = _reached(address)
        info = store.info(there)
        size = info.get("size")
        if info.get("type") == "directory":
            raise PhotoError(f"{address}: is a folder; name a photo")
        taken = 0
        _require_room(address, size or 0, most, path.parent)
        with store.open(there, "rb") as source, path.open("wb") as file:
            while part := source.read(PIECE):
                taken += len(part)
                _require_room(address, taken, most, path.parent)
                file.write(part)
        if size not in (None, taken):
            raise ConnectionError(f"{taken} of {size} bytes came")
        return _version(info) or str(taken)

    return _patiently(address, fetched)


def put(path: Path, address: Address) -> None:
    """Upload a file, whole or not at all. Raises PhotoError if that fails."""

    def sent() -> None:
        store, there = _reached(address)
        if address.protocol in WHOLE:
            store.put_file(str(path), there)
            return
        folder = there.rpartition("/")[0]
        temporary = f"{folder}/{temporary_name(address.suffix)}"
        store.makedirs(folder, exist_ok=True)
        try:
            store.put_file(str(path), temporary)
            store.mv(temporary, there)
        except BaseException:
            with suppress(Exception):
                store.rm_file(temporary)
            raise

    _patiently(address, sent, missing="the bucket or folder to write to is not there; make it")


def read_text(address: Address) -> str:
    """A text in UTF-8; empty if there is none. Raises PhotoError if it can't be had."""

    def read() -> str:
        store, there = _reached(address)
        with suppress(FileNotFoundError):
            return bytes(store.cat_file(there)).decode("utf-8", "replace")
        return ""

    return _patiently(address, read)


def _reached(address: Address) -> tuple[Any, str]:
    """The store, for this thread, and what it calls the place."""
    require_client(address.protocol)
    from fsspec import filesystem, get_filesystem_class  # noqa: PLC0415  (optional)

    # Not by `url_to_fs`: for that, two colons in a name or in a host begin another address.
    kind = get_filesystem_class(address.protocol)
    options = _options(address.protocol) | kind._get_kwargs_from_urls(address.text)
    return filesystem(address.protocol, **options), str(kind._strip_protocol(address.text))


def _options(protocol: str) -> dict[str, Any]:
    """For a store's client. That of HTTP would give up a file that takes more than five minutes."""
    if protocol not in QUERIED:
        return {}
    from aiohttp import ClientTimeout  # noqa: PLC0415  (what fsspec speaks HTTP with)

    patience = ClientTimeout(total=None, sock_connect=SILENT_S, sock_read=SILENT_S)
    return {"client_kwargs": {"timeout": patience}}


def _version(info: dict[str, Any]) -> str | None:
    """By what a store says of a file; None if that is no more than its size."""
    told = next((str(info[name]) for name in VERSIONS if info.get(name)), None)
    return None if told is None else f"{info.get('size')} {told}"


def _patiently(
    address: Address, do: Callable[[], Got], missing: str = "there is no such photo or folder"
) -> Got:
    """Try again for a while: a connection that failed is no fault of the photo's.

    Raises PhotoError for what another try would not mend, and StoreError if the last one failed.
    """
    for pause_s in _pauses():
        try:
            return do()
        except MirnetError:
            raise
        except Exception as found:  # noqa: BLE001  (each client has its own)
            error = _behind(found)
            if isinstance(error, FileNotFoundError):
                raise PhotoError(f"{address}: {missing}") from None
            is_settled = isinstance(error, SETTLED)
            if pause_s is None or is_settled:
                # Not from the error: its traceback may show the address in full.
                raise (PhotoError if is_settled else StoreError)(
                    f"{address}: the store can't be used ({_why(address, error)}); check the "
                    "address, and that this machine may read and write there"
                ) from None
            time.sleep(pause_s)
    raise AssertionError  # the last try returns or raises


def _behind(error: Exception) -> Exception:
    """What failed; fsspec's client of HTTP calls a file missing, whatever its server said."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return error
    status = getattr(cause, "status", None)
    failed = isinstance(cause, OSError) if status is None else status not in MISSING
    return cause if failed else error


def _pauses() -> Iterator[float | None]:
    yield from PAUSES_S
    yield None


def _why(address: Address, error: Exception) -> str:
    line = one_line(error).replace(address.text, str(address))
    return f"{type(error).__name__}: {_shown(line)}"[:300]


def _shown(line: str) -> str:
    """A line whose addresses hold no names, no passwords and no queries."""
    return URL.sub(r"\1\2", line)


def _require_room(address: Address, size: int, most: int, folder: Path) -> None:
    if size > most:
        raise PhotoError(
            f"{address}: is too large to download: more than half of what is free in {folder}; "
            "make room there, or set TMPDIR"
        )
