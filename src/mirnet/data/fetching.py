"""Fetch a large file: go on where a connection dropped, and check what has come."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from ssl import SSLError
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock

from mirnet.environment import file_sha256
from mirnet.errors import DataError

Progress = Callable[[int, int | None], None]
"""``(bytes there, bytes in all if the server says)``."""

CHUNK = 1 << 20
LONGEST_PAUSE_S = 60.0
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which it is worth to ask again."""


class _DroppedError(Exception):
    """The connection ended early; ``pause_s`` is what the server asks to wait."""

    def __init__(self, why: str, pause_s: float = 0) -> None:
        super().__init__(why)
        self.pause_s = pause_s


@dataclass(frozen=True, slots=True)
class _Part:
    """What has come so far: the bytes, and which version of the file they are of."""

    path: Path

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def version(self) -> str | None:
        try:
            return str(json.loads(self.note.read_text("utf-8"))["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def begin(self, version: str | None) -> None:
        self.path.write_bytes(b"")
        self.note.write_text(json.dumps({"version": version}) if version else "{}", "utf-8")

    def forget(self) -> None:
        for file in (self.path, self.note):
            file.unlink(missing_ok=True)


def fetch(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    progress: Progress = lambda there, of: None,
    tries: int = 5,
    timeout_s: float = 30,
    pause_s: float = 1,
) -> str:
    """Fetch ``url`` to ``path``, whole or not at all; what came before is gone on with.

    Args:
        url: http or https.
        path: the file; its folder is made. What has come lies beside it, as ``NAME.part``.
        sha256: what the file is to hash to.
        progress: is told how much is there.
        tries: in a row without a new byte, before it is given up. At least 1.
        timeout_s: seconds without a byte after which a connection counts as dropped.
        pause_s: seconds before the second try; each further pause is twice as long.

    Returns:
        The SHA-256 of the file.

    Raises:
        DataError: the server refuses, the file is not the one that is wanted, or nothing came.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DataError(f"{url}: only http and https are fetched; copy other files yourself")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            if path.exists():
                return _verified(path, sha256, whose="is there already and")
            part = _Part(path.with_name(path.name + ".part"))
            _fetch_whole(url, part, sha256, progress, tries, timeout_s, pause_s)
            try:
                found = _verified(part.path, sha256, whose=f"came from {url} and")
            except DataError:
                part.forget()
                raise
            part.path.replace(path)
            part.note.unlink(missing_ok=True)
            return found
    except OSError as error:
        raise DataError(
            f"{path}: can't be written ({error.strerror or error}); make room and run the same "
            "command again to go on"
        ) from error


def _fetch_whole(
    url: str,
    part: _Part,
    sha256: str | None,
    progress: Progress,
    tries: int,
    timeout_s: float,
    pause_s: float,
) -> None:
    failed = 0
    while True:
        before = part.size()
        try:
            _fetch_some(url, part, sha256, progress, timeout_s)
        except _DroppedError as error:
            failed = 1 if part.size() > before else failed + 1
            if failed >= tries:
                raise DataError(
                    f"{url}: {error}, {tries} times in a row; run the same command again to go on, "
                    f"or fetch it yourself to {part.path.with_suffix('')}"
                ) from error
            time.sleep(max(min(pause_s * 2 ** (failed - 1), LONGEST_PAUSE_S), error.pause_s))
        else:
            return


def _fetch_some(
    url: str, part: _Part, sha256: str | None, progress: Progress, timeout_s: float
) -> None:
    """Ask for the rest, and take what comes. Raises _DroppedError if that is not all."""
    there, version = part.size(), part.version()
    request = Request(url, headers={"User-Agent": "mirnet"})
    if there and version:
        request.add_header("Range", f"bytes={there}-")
        request.add_header("If-Range", version)
    try:
        with urlopen(request, timeout=timeout_s) as answer:
            _take(answer, part, progress)
    except HTTPError as error:
        if error.code == 416:  # nothing lies behind what is there
            if _is_whole(part, error.headers.get("Content-Range"), sha256):
                return
            part.forget()
            raise _DroppedError("the file has changed on its server") from error
        if error.code not in PASSING:
            raise DataError(
                f"{url}: the server answers {error.code} {error.reason}; look at the data set's "
                f"page, or fetch it yourself to {part.path.with_suffix('')}"
            ) from error
        pause = _seconds(error.headers.get("Retry-After"))
        raise _DroppedError(f"the server answers {error.code}", pause) from error
    except (URLError, HTTPException, TimeoutError, ConnectionError, SSLError) as error:
        reason = getattr(error, "reason", None) or error
        raise _DroppedError(f"the connection dropped ({reason})") from error


def _is_whole(part: _Part, told: str | None, sha256: str | None) -> bool:
    """Whether all had come when a process ended: by the length that a 416 tells, or by the sum."""
    if told and (length := told.rpartition("/")[2]).isdecimal():
        return part.size() == int(length)
    return sha256 is not None and file_sha256(part.path) == sha256.lower()


def _take(answer: HTTPResponse, part: _Part, progress: Progress) -> None:
    if answer.status != 206:
        tag = answer.headers.get("ETag", "")
        strong = tag if tag and not tag.startswith("W/") else None
        part.begin(strong or answer.headers.get("Last-Modified"))
    length = answer.headers.get("Content-Length")
    start = part.size()
    total = start + int(length) if length else None
    with part.path.open("ab") as file:
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            file.flush()
            progress(part.size(), total)
    if total is not None and part.size() < total:
        raise _DroppedError(f"the connection dropped after {part.size():,} of {total:,} bytes")


def _verified(path: Path, sha256: str | None, *, whose: str) -> str:
    found = file_sha256(path)
    if sha256 is not None and found != sha256.lower():
        raise DataError(
            f"{path}: {whose} has SHA-256 {found}, not {sha256}; check the sum and the address, "
            "and remove what is there"
        )
    return found


def _seconds(retry_after: str | None) -> float:
    """What a Retry-After header asks for, in seconds or as a date; a minute at most."""
    pause = 0.0
    if retry_after:
        with suppress(ValueError):
            pause = float(retry_after)
            return max(0.0, min(pause, LONGEST_PAUSE_S))
        with suppress(ValueError, TypeError):
            pause = parsedate_to_datetime(retry_after).timestamp() - time.time()
    return max(0.0, min(pause, LONGEST_PAUSE_S))
