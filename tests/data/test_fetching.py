"""Fetching from a server on this machine that behaves as badly as servers do."""

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from mirnet.data import fetching
from mirnet.data.fetching import fetch
from mirnet.errors import DataError

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Its ``plan`` holds what it does next: a status, or the bytes it sends before it drops."""

    plan: ClassVar[list[int | str]] = []
    seen: ClassVar[list[dict[str, str]]] = []
    content: ClassVar[bytes] = CONTENT
    tag: ClassVar[str] = '"one"'
    takes_ranges: ClassVar[bool] = True
    tells_length: ClassVar[bool] = True

    def do_GET(self) -> None:
        Server.seen.append(dict(self.headers))
        next_up = Server.plan.pop(0) if Server.plan else len(Server.content)
        if isinstance(next_up, int) and 400 <= next_up < 600:
            self.send_response(next_up)
            self.send_header("Retry-After", "0.01")
            self.end_headers()
            return
        start = 0
        asked = self.headers.get("Range")
        if asked and Server.takes_ranges and self.headers.get("If-Range") == Server.tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(Server.content) and start:
            self.send_response(416)
            if Server.tells_length:
                self.send_header("Content-Range", f"bytes */{len(Server.content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if next_up != "no length":
            self.send_header("Content-Length", str(len(Server.content) - start))
        self.send_header("ETag", Server.tag)
        self.end_headers()
        if next_up == "stall":
            time.sleep(0.6)
            return
        rest = Server.content[start:]
        self.wfile.write(rest[:next_up] if isinstance(next_up, int) else rest)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Server.plan, Server.seen, Server.content = [], [], CONTENT
    Server.tag, Server.takes_ranges, Server.tells_length = '"one"', True, True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/data.zip"
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(url: str, path: Path, sha256: str | None = SHA256, tries: int = 5) -> str:
    return fetch(url, path, sha256=sha256, tries=tries, timeout_s=0.3, pause_s=0.01)


def leftovers(path: Path) -> set[str]:
    return {each.name for each in path.parent.iterdir()} - {path.name, f"{path.name}.lock"}


def test_a_file_comes_whole(url: str, tmp_path: Path) -> None:
    path, seen = tmp_path / "new" / "data.zip", []
    found = fetch(url, path, progress=lambda there, of: seen.append((there, of)))
    assert found == SHA256
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert leftovers(path) == set()


def test_dropped_connections_are_gone_on_with(url: str, tmp_path: Path) -> None:
    Server.plan = [1000, 5000, 0, 503, 30_000]
    assert fetched(url, tmp_path / "data.zip") == SHA256
    asked = [headers.get("Range") for headers in Server.seen]
    assert asked == [
        None,
        "bytes=1000-",
        "bytes=6000-",
        "bytes=6000-",
        "bytes=6000-",
        "bytes=36000-",
    ]


def test_a_later_call_goes_on_too(url: str, tmp_path: Path) -> None:
    Server.plan = [1000, 0, 0, 0]
    with pytest.raises(
        DataError, match=r"dropped .*, 2 times in a row; run the same command again"
    ):
        fetched(url, tmp_path / "data.zip", tries=2)
    assert (tmp_path / "data.zip.part").stat().st_size == 1000
    Server.plan = []
    fetched(url, tmp_path / "data.zip")
    assert Server.seen[-1]["Range"] == "bytes=1000-"


def test_a_server_without_ranges_begins_anew(url: str, tmp_path: Path) -> None:
    Server.takes_ranges = False
    Server.plan = [1000]
    assert fetched(url, tmp_path / "data.zip") == SHA256


def test_a_file_that_changed_in_between_begins_anew(url: str, tmp_path: Path) -> None:
    Server.plan = [1000, 0, 0]
    with pytest.raises(DataError):
        fetched(url, tmp_path / "data.zip", tries=2)
    Server.content, Server.tag, Server.plan = CONTENT[::-1], '"two"', []
    fetched(url, tmp_path / "data.zip", hashlib.sha256(CONTENT[::-1]).hexdigest())
    assert (tmp_path / "data.zip").read_bytes() == CONTENT[::-1]


def part_of(path: Path, content: bytes) -> None:
    path.with_name(f"{path.name}.part").write_bytes(content)
    path.with_name(f"{path.name}.part.json").write_text('{"version": "\\"one\\""}')


@pytest.mark.parametrize("tells_length", [False, True])
def test_a_file_that_got_shorter_begins_anew(tells_length: bool, url: str, tmp_path: Path) -> None:
    Server.tells_length = tells_length
    part_of(tmp_path / "data.zip", CONTENT + b"more")
    assert fetched(url, tmp_path / "data.zip") == SHA256
    assert len(Server.seen) == 2


@pytest.mark.parametrize(
    ("tells_length", "sha256"), [(True, SHA256), (True, None), (False, SHA256.upper())]
)
def test_a_part_that_is_whole_is_not_fetched_again(
    tells_length: bool, sha256: str | None, url: str, tmp_path: Path
) -> None:
    Server.tells_length = tells_length
    part_of(tmp_path / "data.zip", CONTENT)
    assert fetched(url, tmp_path / "data.zip", sha256) == SHA256
    assert (tmp_path / "data.zip").read_bytes() == CONTENT
    assert [headers.get("Range") for headers in Server.seen] == [f"bytes={len(CONTENT)}-"]
    assert leftovers(tmp_path / "data.zip") == set()


def test_a_part_of_the_right_length_alone_is_not_kept(url: str, tmp_path: Path) -> None:
    part_of(tmp_path / "data.zip", CONTENT[::-1])
    with pytest.raises(DataError, match=r"came from .* and has SHA-256"):
        fetched(url, tmp_path / "data.zip")
    assert leftovers(tmp_path / "data.zip") == set()


def test_without_a_length_or_a_sum_a_part_is_not_trusted(url: str, tmp_path: Path) -> None:
    Server.tells_length = False
    part_of(tmp_path / "data.zip", CONTENT[::-1])
    assert fetched(url, tmp_path / "data.zip", None) == SHA256


@pytest.mark.parametrize("note", [None, "", "{", "[]"])
def test_a_part_of_an_unknown_version_begins_anew(
    note: str | None, url: str, tmp_path: Path
) -> None:
    (tmp_path / "data.zip.part").write_bytes(b"something else")
    if note is not None:
        (tmp_path / "data.zip.part.json").write_text(note)
    assert fetched(url, tmp_path / "data.zip") == SHA256


def test_a_server_that_stalls_counts_as_dropped(url: str, tmp_path: Path) -> None:
    Server.plan = ["stall"]
    assert fetched(url, tmp_path / "data.zip") == SHA256


def test_a_length_that_isn_t_told_is_no_fault(url: str, tmp_path: Path) -> None:
    Server.plan = ["no length"]
    assert fetched(url, tmp_path / "data.zip") == SHA256


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(status: int, url: str, tmp_path: Path) -> None:
    Server.plan = [status]
    with pytest.raises(DataError, match=f"the server answers {status} "):
        fetched(url, tmp_path / "data.zip")
    assert len(Server.seen) == 1


def test_another_file_than_is_wanted_is_not_kept(url: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has SHA-256 {SHA256}, not {'0' * 64}"):
        fetched(url, tmp_path / "data.zip", "0" * 64)
    assert not (tmp_path / "data.zip").exists()
    assert leftovers(tmp_path / "data.zip") == set()


def test_what_is_there_is_not_fetched_again_nor_overwritten(url: str, tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    path.write_bytes(CONTENT)
    assert fetched(url, path) == SHA256
    assert Server.seen == []
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match="is there already and has SHA-256"):
        fetched(url, path)
    assert path.read_bytes() == b"mine"


def test_two_at_once_don_t_mix(url: str, tmp_path: Path) -> None:
    Server.plan = [1000]
    path = tmp_path / "data.zip"
    threads = [threading.Thread(target=fetched, args=(url, path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert len(Server.seen) == 2


@pytest.mark.parametrize("url_", ["file:///etc/hostname", "ftp://x/y", "data.zip"])
def test_only_the_web_is_fetched_from(url_: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only http and https are fetched"):
        fetch(url_, tmp_path / "x")


def test_nobody_listening_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the connection dropped"):
        fetched("http://127.0.0.1:9/x", tmp_path / "x", tries=2)


def test_pauses_are_bounded() -> None:
    assert fetching._seconds("1e9") == fetching.LONGEST_PAUSE_S
    assert fetching._seconds("-3") == 0
    assert fetching._seconds("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    assert fetching._seconds("soon") == 0
    assert fetching._seconds(None) == 0


def test_a_full_disk_is_one_line(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mirnet.data.fetching._take", full)
    with pytest.raises(DataError, match=r"can't be written \(No space left on device\); make room"):
        fetched(url, tmp_path / "data.zip")
