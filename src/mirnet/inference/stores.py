"""Photos in stores: S3 and its kin, HTTP, FTP, whatever fsspec knows an address of.

Each store's client finds its credentials by itself, on every machine, in its environment or its
files.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote

from mirnet.atomic import temporary_name
from mirnet.errors import PhotoError
from mirnet.inference.clients import SILENT_S, behind, patiently, reached
from mirnet.inference.pages import entries_of
from mirnet.inference.places import QUERIED, Address

WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"))
"""Protocols by which a file is there when all of it is, and not before."""
VERSIONS = ("ETag", "etag", "md5Hash", "Content-MD5", "LastModified", "Last-Modified", "mtime",
            "last_modified", "updated", "modify")  # fmt: skip
"""What clients call that by which a changed file is told, the surest first."""
PIECE = 1 << 23
"""Bytes that are read at a time."""
FOLDERS, DEPTH = 100_000, 64
"""The most folders below one, and folders in another: pages may link to each other without end."""
LEAST_RATE = 4 << 10
"""Bytes a second of a download on the mean, once `SILENT_S` is over."""
LOST, LOST_S = 3, 120.0
"""A store is lost when so many files in a row, at least, and so many seconds have been spent on it,
and it answered none of them."""


def files_below(folder: Address) -> list[tuple[Address, PurePath]]:
    """All files in a folder and below it in the order of their names, each with its place there.

    Empty for a folder that is not there: most stores have none that is empty. Raises PhotoError if
    it can't be listed, or has no end.
    """

    def found() -> list[tuple[Address, PurePath]]:
        store, root = reached(folder)
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
    return patiently(folder, found)


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
            entries = _entries(folder, store, here)
        except FileNotFoundError as error:
            if (failure := behind(error)) is not error:
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


def _entries(folder: Address, store: Any, here: str) -> list[dict[str, Any]]:
    if folder.protocol in QUERIED:  # fsspec's own reading of pages loses links
        return entries_of(folder, store, here)
    entries: list[dict[str, Any]] = store.ls(here, detail=True)
    return entries


def version_of(address: Address) -> str:
    """What tells a file from what it was before: its size, and what its store says of it."""
    if address.version is not None:
        return address.version

    def asked() -> str:
        store, path = reached(address)
        store.invalidate_cache()
        return _told(store.info(path))

    return patiently(address, asked)


def fetch(address: Address, path: Path) -> str:
    """Download a file, and return its version.

    It may take half of the disk that is free. Raises PhotoError if that is not enough, or it can't
    be had.
    """

    def fetched() -> str:
        store, there = reached(address)
        info = store.info(there)
        size = info.get("size")
        if info.get("type") == "directory":
            raise PhotoError(f"{address}: is a folder; name a photo")
        whole = {"block_size": 0} if address.protocol in QUERIED else {}  # in one request
        with store.open(there, "rb", **whole) as source:
            taken = _stored(source, path, size or 0, address)
        if size not in (None, taken):
            raise ConnectionError(f"{taken} of {size} bytes came")
        return _told(info)

    return patiently(address, fetched)


def _stored(source: Any, path: Path, size: int, address: Address) -> int:
    """How many bytes came; PhotoError if they have no room here."""
    taken = 0
    with _on_this_disk(path.parent):
        most = shutil.disk_usage(path.parent).free // 2
        file = path.open("wb")
    began = time.monotonic()
    with file:
        _require_room(address, size, most, path.parent)
        while part := source.read(PIECE):
            taken += len(part)
            _require_room(address, taken, most, path.parent)
            took_s = time.monotonic() - began
            if took_s > SILENT_S and taken < LEAST_RATE * took_s:
                raise ConnectionError(f"less than {LEAST_RATE >> 10} KiB came a second")
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
        store, there = reached(address)
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

    patiently(address, sent, missing="the bucket or folder to write to is not there; make it")


def read_text(address: Address) -> str:
    """A text in UTF-8; empty if there is none. Raises PhotoError if it can't be had."""

    def read() -> str:
        store, there = reached(address)
        try:
            return bytes(store.cat_file(there)).decode("utf-8", "replace")
        except FileNotFoundError as error:
            # That of FTP calls a file missing when its server is busy.
            if (failure := behind(error)) is not error:
                raise failure from None
            if address.protocol not in WHOLE and there in _beside(store, there):
                raise ConnectionError("is there, and can't be read") from None
            return ""

    return patiently(address, read)


def _beside(store: Any, there: str) -> frozenset[str]:
    """What a file's folder holds, as its store lists it now."""
    store.invalidate_cache()
    with suppress(FileNotFoundError):
        return frozenset(store.ls(there.rpartition("/")[0] or "/", detail=False))
    return frozenset()


def _version(info: dict[str, Any]) -> str | None:
    """By what a store says of a file; None if that is no more than its size."""
    told = next((str(info[name]) for name in VERSIONS if info.get(name)), None)
    return None if told is None else f"{info.get('size')} {told}"


class Silence:
    """How long each store has not answered, since it did last."""

    def __init__(self) -> None:
        """All have answered."""
        self._spent: dict[str, list[float]] = {}

    def ends(self, *stores: str) -> None:
        """They answered."""
        for store in stores:
            self._spent.pop(store, None)

    def lasts(self, store: str, spent_s: float) -> bool:
        """It did not answer for one file more, in so many seconds; whether it is lost now."""
        spent = self._spent.setdefault(store, [])
        spent.append(spent_s)
        return len(spent) >= LOST and sum(spent) >= LOST_S


def _listed_version(info: dict[str, Any]) -> str | None:
    """The same from a list, where what is said of a link is about the link."""
    is_link = info.get("islink") or info.get("type") == "link"
    return None if is_link else _version(info)


def _told(info: dict[str, Any]) -> str:
    return _version(info) or str(info.get("size"))


def _require_room(address: Address, size: int, most: int, folder: Path) -> None:
    if size > most:
        raise PhotoError(
            f"{address}: is too large to download: more than half of what is free in {folder}; "
            "make room there, or set TMPDIR"
        )
