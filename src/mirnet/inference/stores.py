"""Photos in stores: S3 and its kin, HTTP, FTP, whatever fsspec knows an address of.

Each store's client finds its credentials by itself, on every machine, in its environment or its
files.
"""

from __future__ import annotations

import ftplib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any, TypeVar
from urllib.parse import unquote

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
PASSING = frozenset((408, 425, 429))
"""HTTP's statuses of 400 and more that another try may mend, beside those of 500 and more."""
LOST = 20
"""When so many files, one after the other, could not be had since it did not answer, it is lost."""
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
        # What most others call `find` leaves out what it could not list.
        if folder.protocol in WHOLE:
            try:
                listed = store.find(root, detail=True)
            except FileNotFoundError:
                return []
        else:
            listed = _walked(folder, store, root)
        below = {path.removeprefix(around): info for path, info in listed.items()}
        return [
            (Address(f"{folder}/{name}", _listed_version(info)), place_of(folder, name))
            for name, info in sorted(below.items())
        ]

    if folder.text != str(folder):
        raise PhotoError(f"{folder}: can't be listed with what follows its ?; name its photos")
    return _patiently(folder, found)


def place_of(address: Address, name: str) -> PurePath:
    """What the name of a file, or of one below a folder, is on a disk."""
    if address.protocol in QUERIED:
        return PurePath(unquote(name.partition("?")[0]))
    return PurePath(name)


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
        try:
            entries = store.ls(here, detail=True)
        except FileNotFoundError as error:
            if (failure := _behind(error)) is not error:
                raise failure from None
            continue  # gone meanwhile, or a link of a page that leads nowhere
        for info in entries:
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
        return _told(store.info(path))

    return _patiently(address, asked)


def fetch(address: Address, path: Path) -> str:
    """Download a file, and return its version.

    It may take half of the disk that is free. Raises PhotoError if that is not enough, or it can't
    be had.
    """

    def fetched() -> str:
        store, there = _reached(address)
        info = store.info(there)
        size = info.get("size")
        if info.get("type") == "directory":
            raise PhotoError(f"{address}: is a folder; name a photo")
        with store.open(there, "rb") as source:
            taken = _stored(source, path, size or 0, address)
        if size not in (None, taken):
            raise ConnectionError(f"{taken} of {size} bytes came")
        return _told(info)

    return _patiently(address, fetched)


def _stored(source: Any, path: Path, size: int, address: Address) -> int:
    """How many bytes came; PhotoError if they have no room here."""
    taken = 0
    with _on_this_disk(path.parent):
        most = shutil.disk_usage(path.parent).free // 2
        file = path.open("wb")
    with file:
        _require_room(address, size, most, path.parent)
        while part := source.read(PIECE):
            taken += len(part)
            _require_room(address, taken, most, path.parent)
            with _on_this_disk(path.parent):
                file.write(part)
    return taken


@contextmanager
def _on_this_disk(folder: Path) -> Iterator[None]:
    """Raise PhotoError for what is no fault of a store's."""
    try:
        yield
    except OSError as error:
        raise PhotoError(
            f"{folder}: can't be written ({error.strerror}); make room there, or set TMPDIR"
        ) from error


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
        try:
            return bytes(store.cat_file(there)).decode("utf-8", "replace")
        except FileNotFoundError as error:
            # That of FTP calls a file missing when its server is busy.
            if (failure := _behind(error)) is not error:
                raise failure from None
            store.invalidate_cache()
            if there in _names(store, there.rpartition("/")[0]):
                raise ConnectionError("is there, and can't be read") from None
            return ""

    return _patiently(address, read)


def _names(store: Any, folder: str) -> frozenset[str]:
    with suppress(FileNotFoundError):
        return frozenset(info["name"] for info in store.ls(folder, detail=True))
    return frozenset()


def _reached(address: Address) -> tuple[Any, str]:
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


def _version(info: dict[str, Any]) -> str | None:
    """By what a store says of a file; None if that is no more than its size."""
    told = next((str(info[name]) for name in VERSIONS if info.get(name)), None)
    return None if told is None else f"{info.get('size')} {told}"


def _listed_version(info: dict[str, Any]) -> str | None:
    """The same from a list, where what is said of a link is about the link."""
    is_link = info.get("islink") or info.get("type") == "link"
    return None if is_link else _version(info)


def _told(info: dict[str, Any]) -> str:
    return _version(info) or str(info.get("size"))


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
            line = (
                f"{address}: the store can't be used ({_why(address, error)}); check the address, "
                "and that this machine may read and write there"
            )
            # Not from the error: its traceback may show the address in full.
            if _is_settled(error):
                raise PhotoError(line) from None
            if pause_s is None:
                raise StoreError(line, store=address.store) from None
            _disconnect(address.protocol)
            time.sleep(pause_s)
    raise AssertionError  # the last try returns or raises


def _behind(error: Exception) -> Exception:
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
