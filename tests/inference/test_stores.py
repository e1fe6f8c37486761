"""A store that is a folder behind a protocol of its own."""

from __future__ import annotations

import ftplib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import (
    BaseHTTPRequestHandler,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
)
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from mirnet.errors import MissingDependencyError, PhotoError, StoreError
from mirnet.inference import clients, stores
from mirnet.inference.batch import Outcome, still_to_do
from mirnet.inference.jobs import Job, Plan
from mirnet.inference.ledger import NAME, Ledger, content_of
from mirnet.inference.places import Address, placed
from mirnet.inference.planning import listed, plan
from mirnet.inference.stores import fetch, files_below, put

SECRET = "hush"


class Folder(LocalFileSystem):  # type: ignore[misc]
    """Files of this machine by addresses ``shelf:///…``; it fails as often as it is told."""

    protocol = "shelf"
    failures: list[Exception] = []  # noqa: RUF012  (of all of them)
    moved: list[tuple[str, str]] = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("shelf://")))

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def info(self, path: str, **kwargs: Any) -> Any:
        self._fail()
        return super().info(path, **kwargs)

    def put_file(self, lpath: str, rpath: str, **kwargs: Any) -> None:
        super().put_file(lpath, rpath, **kwargs)
        self._fail()  # when half of it is there, say

    def mv(self, path1: str, path2: str, **kwargs: Any) -> None:
        self.moved.append((path1, path2))
        super().mv(path1, path2, **kwargs)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """The address of a folder, ``shelf`` in the temporary one; nobody waits for another try."""
    fsspec.register_implementation("shelf", Folder, clobber=True)
    monkeypatch.setattr(clients, "PAUSES_S", (0.0, 0.0))
    Folder.failures.clear()
    Folder.moved.clear()
    (tmp_path / "shelf").mkdir()
    yield Address(f"shelf://{tmp_path}/shelf")
    Folder.failures.clear()


def test_what_http_has_after_a_question_mark_is_never_shown() -> None:
    place = placed(f"https://host:8443/a b.jpg?signature={SECRET}")
    assert isinstance(place, Address)
    assert SECRET in place.text
    assert (str(place), place.name) == ("https://host:8443/a b.jpg", "a b.jpg")
    assert SECRET not in repr(place)
    assert SECRET not in repr(Job(place, Path("a.jpg")))
    error = OSError(f"GET {place.text} and https://me:{SECRET}@host/x?k={SECRET}: 403")
    assert SECRET not in clients._why(place, error)
    assert "https://host/x 403" in clients._why(place, error)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingDependencyError, match=r"nowhere.* s3fs for s3://, gcsfs for gs://"):
        plan(["nowhere://a/b"], Path("out"), suffix=None)

    def import_class(name: str) -> Any:
        raise ImportError(name)

    registry = sys.modules["fsspec.registry"]
    monkeypatch.setattr(registry, "_import_class", import_class)
    monkeypatch.delitem(registry._registry, "s3", raising=False)
    with pytest.raises(MissingDependencyError, match="s3://…: Install s3fs to access S3; "):
        clients.require_client("s3")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "mirnet\[scale\]"'):
        clients.require_client("s3")


def test_a_folder_is_mirrored_without_what_is_passed_by(shelf: Address, tmp_path: Path) -> None:
    for name in (
        "b.png",
        "sub/a.jpg",
        ".hidden.png",
        "@eaDir/t.jpg",
        "c.bmp",
        "n.txt",
        "out/r.png",
    ):
        place = tmp_path / "shelf" / name
        place.parent.mkdir(exist_ok=True)
        place.touch()
    made = plan([f"{shelf}/"], shelf / "out", suffix=None)
    assert [(str(job.source), str(job.target)) for job in made.jobs] == [
        (f"{shelf}/b.png", f"{shelf}/out/b.png"),
        (f"{shelf}/sub/a.jpg", f"{shelf}/out/sub/a.jpg"),
    ]
    assert (made.faults, made.left_alone) == ({}, {".bmp": 1})
    into = plan([str(shelf)], tmp_path / "here", suffix=".tif").jobs
    assert [job.target for job in into] == [
        tmp_path / "here" / each for each in ("b.tif", "out/r.tif", "sub/a.tif")
    ]
    (fault,) = plan([str(shelf)], shelf, suffix=None).faults.values()
    assert fault == f"{shelf}: the results would lie over the photos; name another folder with -o"


def test_a_folder_that_can_not_be_listed_is_a_fault_and_not_left_out(
    shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shelf" / "sub").mkdir()
    (tmp_path / "shelf" / "a.png").touch()
    as_before = Folder.ls

    def ls(self: Folder, path: str, *given: Any, **kind: Any) -> Any:
        if path.endswith("sub"):
            raise PermissionError("no")
        return as_before(self, path, *given, **kind)

    monkeypatch.setattr(Folder, "ls", ls)
    made = plan([str(shelf)], tmp_path / "out", suffix=None)
    assert "PermissionError: no" in made.faults[shelf]
    assert plan([f"{shelf}/none"], tmp_path / "out", suffix=None).faults


@pytest.mark.parametrize("key", ["../../../etc/a.png", "/etc/a.png", "x/../../a.png"])
def test_a_name_that_leads_out_of_the_output_is_refused(
    key: str, shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mirnet.inference.searching.files_below",
        lambda folder: [(Address(f"{folder}/{key}"), PurePath(key))],
    )
    made = plan([str(shelf)], tmp_path / "out", suffix=None)
    assert made.jobs == []
    assert "has a name that no file here can have" in next(iter(made.faults.values()))


def test_a_folder_that_goes_meanwhile_takes_no_other_with_it(
    shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "sub/b.png", "z/c.png"):
        (tmp_path / "shelf" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "shelf" / name).touch()
    as_before, failure = Folder.ls, FileNotFoundError("sub")

    def ls(self: Folder, path: str, *given: Any, **kind: Any) -> Any:
        if path.endswith("sub"):
            raise failure
        return as_before(self, path, *given, **kind)

    monkeypatch.setattr(Folder, "ls", ls)
    assert [str(place) for _, place in files_below(shelf)] == ["a.png", "z/c.png"]
    failure.__cause__ = ConnectionResetError("reset")  # as some clients say it
    with pytest.raises(StoreError, match="reset"):
        files_below(shelf)


def test_a_link_is_known_by_what_it_leads_to(shelf: Address, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"photo")
    (tmp_path / "shelf" / "a.png").symlink_to(tmp_path / "a.png")
    os.utime(tmp_path / "a.png", (1, 1))
    ((link, _),) = files_below(shelf)
    version = fetch(link, tmp_path / "here")
    assert content_of(link) == content_of(Address(link.text, version))


PAGES = {
    "/in/": f"""<a href="../">up</a> <a href='./'>here</a> <a href="?C=N;O=D">sort</a>
        <A HREF="Anna's%20cat.png">cat</A> <a href="A&amp;B.png">a</a> <a name=x>no link</a>
        <a href="http-shot.png#top">s</a> <a href="sub/">sub</a>
        <a href="/in/b.png?token={SECRET}">b</a> <a href="https://elsewhere/in/c.png">c</a>
        <a href="/other/d.png">d</a>
        <a href="..%2F..%2Fetc%2Fa.jpg">e</a> <a href="gone/">gone</a>""",
    "/in/sub/": '<a href="../">up</a> <a href="../sub/">again</a> <a href="../Anna\'s%20cat.png">'
    '</a> <a href="f.png">f</a>',
}


def test_folders_of_pages_are_read_by_their_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = PAGES.get(self.path, "")
            self.send_response(200 if page else 404)
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/in"
        made = plan([f"{address}/"], tmp_path / "out", suffix=None)
        monkeypatch.setattr("mirnet.inference.pages.LARGEST", 100)
        with pytest.raises(PhotoError, match="has a page of more than 0 MiB; name its photos"):
            files_below(Address(address))
        server.shutdown()
    found = {str(job.target.relative_to(tmp_path / "out")) for job in made.jobs}  # type: ignore[arg-type]
    assert found == {"Anna's cat.png", "A&B.png", "http-shot.png", "b.png", "sub/f.png"}
    (fault,) = made.faults.values()
    assert "..%2F..%2Fetc%2Fa.jpg: has a name that no file here can have" in fault
    with pytest.raises(PhotoError, match=r"https://h/in: can't be listed with what follows its \?"):
        files_below(Address(f"https://h/in?token={SECRET}"))


def test_a_name_that_a_client_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="has a name that its store's client cuts; rename it"):
        put(tmp_path / "a.jpg", Address("ftp://host/out/what?1.jpg"))


def test_credentials_of_the_configuration_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = {"headers": {"Authorization": SECRET}}
    monkeypatch.setitem(fsspec.config.conf, "https", {"client_kwargs": secret})
    given = clients._options("https")["client_kwargs"]
    assert given["headers"] == secret["headers"]
    assert given["timeout"].sock_read == clients.SILENT_S
    assert "headers" not in clients._options("http")["client_kwargs"]


def test_each_try_has_a_connection_of_its_own(shelf: Address, tmp_path: Path) -> None:
    (tmp_path / "shelf" / "a.jpg").write_bytes(b"whole")
    first, _ = clients.reached(shelf)
    assert clients.reached(shelf)[0] is first
    Folder.failures += [ConnectionError("socket is closed")]
    fetch(shelf / "a.jpg", tmp_path / "here")
    assert clients.reached(shelf)[0] is not first


def test_a_disk_that_is_full_here_is_no_fault_of_the_store(shelf: Address, tmp_path: Path) -> None:
    (tmp_path / "shelf" / "a.jpg").write_bytes(b"whole")
    with pytest.raises(PhotoError, match=r"gone: can't be written \(No such file") as raised:
        fetch(shelf / "a.jpg", tmp_path / "gone" / "here")
    assert not isinstance(raised.value, StoreError)


def test_folders_without_end_are_given_up(
    shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ls(self: Folder, path: str, *given: Any, **kind: Any) -> Any:
        return [{"name": f"{path}/again", "type": "directory"}]

    monkeypatch.setattr(Folder, "ls", ls)
    (fault,) = plan([str(shelf)], tmp_path / "out", suffix=None).faults.values()
    assert fault.startswith(f"{shelf}: has more than 100,000 folders, or 64 and more one in ano")
    assert fault.endswith("in a list (--from-file)")
    wide = [{"name": f"{tmp_path}/shelf/{i}", "type": "directory"} for i in range(8)]
    below = lambda self, path, **_: wide if path.endswith("shelf") else []  # noqa: E731
    monkeypatch.setattr(Folder, "ls", below)
    assert files_below(shelf) == []
    monkeypatch.setattr(stores, "FOLDERS", 8)
    with pytest.raises(PhotoError, match="has more than 8 folders"):
        files_below(shelf)


def test_a_list_mirrors_what_all_its_addresses_lie_in(tmp_path: Path) -> None:
    listing = tmp_path / "list.txt"
    listing.write_text("file:///d/in/x/a.jpg\nfile:///d/in/y/b.jpg\n")
    paths, within = listed(listing)
    assert within == Address("file:///d/in")
    jobs = plan(paths, Path("out"), suffix=None, within=within).jobs
    assert [job.target for job in jobs] == [Path("out/x/a.jpg"), Path("out/y/b.jpg")]
    for text, words in (
        ("s3://a/b.jpg\nc.jpg\n", "names both paths and addresses"),
        ("s3://a/b.jpg\ngs://a/c.jpg\n", "names photos of several stores"),
    ):
        listing.write_text(text)
        with pytest.raises(PhotoError, match=words):
            listed(listing)


def test_a_download_that_fails_is_tried_again(shelf: Address, tmp_path: Path) -> None:
    (tmp_path / "shelf" / "a.jpg").write_bytes(b"whole")
    Folder.failures += [ConnectionError("reset"), TimeoutError("slow")]
    fetch(shelf / "a.jpg", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"whole"
    Folder.failures += [ConnectionError("reset")] * 3
    with pytest.raises(StoreError, match=r"a\.jpg: the store can't be used \(ConnectionError: res"):
        fetch(shelf / "a.jpg", tmp_path / "here")
    Folder.failures += [PermissionError("no"), ConnectionError("never asked")]
    with pytest.raises(PhotoError, match="PermissionError: no") as raised:
        fetch(shelf / "a.jpg", tmp_path / "here")
    assert not isinstance(raised.value, StoreError), "another try would give the same"
    assert len(Folder.failures) == 1
    Folder.failures.clear()
    with pytest.raises(PhotoError, match="there is no such photo"):
        fetch(shelf / "b.jpg", tmp_path / "here")


def test_a_server_that_fails_is_asked_again_and_not_said_to_lack_the_photo(
    shelf: Address, tmp_path: Path
) -> None:
    """fsspec's client of HTTP says FileNotFoundError of both."""
    answers: list[int] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = answers.pop(0) if answers else 200
            if not status:
                self.close_connection = True  # without a word
                return
            self.send_response(status)
            self.send_header("Content-Length", "5")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(b"whole")

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        photo = Address(f"http://127.0.0.1:{server.server_port}/a.jpg")
        answers += [500, 500]
        fetch(photo, tmp_path / "here")
        assert (tmp_path / "here").read_bytes() == b"whole"
        answers += [500] * 20
        with pytest.raises(PhotoError, match=r"the store can't be used \(ClientResponseError: 500"):
            fetch(photo, tmp_path / "here")
        answers[:] = [404] * 20
        with pytest.raises(PhotoError, match="there is no such photo"):
            fetch(photo, tmp_path / "here")
        assert len(answers) > 14, "it was asked again"
        answers[:] = [403] * 20
        with pytest.raises(PhotoError, match="ClientResponseError: 403") as raised:
            fetch(photo, tmp_path / "here")
        assert not isinstance(raised.value, StoreError)
        answers[:] = [0] * 20
        with pytest.raises(StoreError, match="ServerDisconnectedError"):
            fetch(photo, tmp_path / "here")
        server.shutdown()
    with pytest.raises(StoreError, match="the store can't be used"):
        fetch(photo, tmp_path / "here")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_a_server_with_an_address_of_six_is_reached(tmp_path: Path) -> None:
    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a::b.jpg").write_bytes(b"whole")
    pages = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "in"))
    with Server(("::1", 0), pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        fetch(Address(f"http://[::1]:{server.server_port}/a::b.jpg"), tmp_path / "here")
        server.shutdown()
    assert (tmp_path / "here").read_bytes() == b"whole"


def test_a_server_that_falls_silent_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client would wait five minutes, and give up a file that takes longer."""
    monkeypatch.setattr(clients, "SILENT_S", 0.2)
    monkeypatch.setattr(clients, "PAUSES_S", (0.0, 0.0))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Address(f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg")
        with pytest.raises(StoreError, match=r"nothing came for 0\.2 s|Timeout") as raised:
            fetch(place, tmp_path / "here")
        assert 0.2 <= raised.value.spent_s < 5


@pytest.mark.parametrize("told", [101, 0])
def test_a_download_takes_no_more_than_half_of_what_is_free(
    told: int, shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its size is told, or only seen as it comes."""
    (tmp_path / "shelf" / "a.jpg").write_bytes(b"x" * 101)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=200))
    monkeypatch.setattr(Folder, "info", lambda self, path, **_: {"size": told, "type": "file"})
    with pytest.raises(PhotoError, match="too large to download"):
        fetch(shelf / "a.jpg", tmp_path / "here")


def test_a_download_that_ends_early_is_no_photo(
    shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shelf" / "a.jpg").write_bytes(b"half")
    monkeypatch.setattr(Folder, "info", lambda self, path, **_: {"size": 8, "type": "file"})
    with pytest.raises(PhotoError, match="4 of 8 bytes came"):
        fetch(shelf / "a.jpg", tmp_path / "here")


def test_an_upload_is_there_whole_or_not_at_all(shelf: Address, tmp_path: Path) -> None:
    result, target = tmp_path / "result.png", shelf / "sub" / "a.png"
    result.write_bytes(b"new")
    Folder.failures += [ConnectionError("reset")] * 3
    with pytest.raises(PhotoError, match="reset"):
        put(result, target)
    assert [path for path in (tmp_path / "shelf").rglob("*") if path.is_file()] == []
    Folder.failures += [ConnectionError("reset")]
    put(result, target)
    assert [path.name for path in (tmp_path / "shelf" / "sub").iterdir()] == ["a.png"]
    assert (tmp_path / "shelf" / "sub" / "a.png").read_bytes() == b"new"
    ((temporary, final),) = Folder.moved
    assert PurePath(temporary).name.startswith(".mirnet-")
    assert PurePath(final).name == "a.png"


def test_a_download_that_hardly_comes_is_broken_off(
    shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shelf" / "a.jpg").write_bytes(b"whole")
    monkeypatch.setattr(stores, "SILENT_S", 0.0)
    monkeypatch.setattr(stores, "LEAST_RATE", 1 << 40)
    with pytest.raises(StoreError, match=r"less than \d+ KiB came a second"):
        fetch(shelf / "a.jpg", tmp_path / "here")


def test_what_has_no_version_is_told_by_its_size_and_what_has_one_by_that(
    shelf: Address, tmp_path: Path
) -> None:
    file = tmp_path / "shelf" / "a.jpg"
    file.write_bytes(b"one")
    ((listed_one, _),) = files_below(shelf)
    assert content_of(listed_one) == content_of(shelf / "a.jpg")
    assert content_of(Address("x://a", "1 a")) != content_of(Address("x://a", "1 b"))
    assert content_of(Address("x://a", "1 a")) == content_of(Address("y://b", "1 a"))
    before = content_of(shelf / "a.jpg")
    file.write_bytes(b"another")
    assert content_of(shelf / "a.jpg") != before


def test_a_ledger_in_a_store_is_read_and_written_whole(
    shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "shelf" / NAME
    job = Job(Address("s3://b/a.jpg", "1 x"), shelf / "a.jpg")
    ledger = Ledger(shelf)
    ledger.note(job, content_of(job.source), {"strength": 1})
    assert not file.exists()
    ledger.save()
    assert file.read_text().startswith('{"result": "a.jpg", "source": "s3://b/a.jpg", ')
    again = Ledger(shelf)
    assert again.objection(job, {"strength": 1}, overwrite=False) is None
    assert "--overwrite" in str(again.objection(job, {"strength": 0}, overwrite=False))
    monkeypatch.setattr("mirnet.inference.ledger.SAVED_S", -1)
    again.note(Job(Address("s3://b/b.jpg", "1 x"), shelf / "b.jpg"), "b", {})
    assert len(file.read_text().splitlines()) == 2
    Folder.failures += [PermissionError("no")]
    with pytest.raises(PhotoError, match="PermissionError"):
        Ledger(shelf).save()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    again.note(Job(Address("s3://b/c.jpg", "1 x"), shelf / "c.jpg"), "c", {})
    with pytest.raises(PhotoError, match=r"can't be made here \(No such file"):
        still_to_do(Plan([job]), output=shelf, way=dict, overwrite=True, outcome=Outcome())
    monkeypatch.setattr("tempfile.tempdir", None)
    Folder.failures += [FileNotFoundError("The specified bucket does not exist")]
    with pytest.raises(PhotoError, match="the bucket or folder to write to is not there; make it"):
        Ledger(shelf).save()


def test_a_ledger_that_is_there_and_can_not_be_read_is_not_taken_for_none(
    shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shelf" / NAME).write_text('{"result": "a.jpg"}\n')

    def cat_file(self: Folder, path: str, **_: Any) -> bytes:
        raise FileNotFoundError(path) from ftplib.error_temp("450 busy")

    monkeypatch.setattr(Folder, "cat_file", cat_file)
    with pytest.raises(StoreError, match="450 busy"):
        Ledger(shelf)

    def missing(self: Folder, path: str, **_: Any) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Folder, "cat_file", missing)
    with pytest.raises(StoreError, match="is there, and can't be read"):
        Ledger(shelf)
    (tmp_path / "shelf" / NAME).unlink()
    assert Ledger(shelf)._notes == {}


def test_what_is_made_anew_is_not_noted_as_it_was_if_the_batch_is_killed(
    shelf: Address, tmp_path: Path
) -> None:
    jobs = [Job(Address(f"s3://b/{name}", "1 x"), shelf / name) for name in ("a.jpg", "b.jpg")]
    ledger = Ledger(shelf)
    for job in jobs:
        ledger.note(job, content_of(job.source), {"strength": 1})
        (tmp_path / "shelf" / job.target.name).touch()
    ledger.save()
    gone = Job(Address("s3://b/c.jpg", "1 x"), shelf / "c.jpg")
    ledger.note(gone, "c", {"strength": 1})
    ledger.save()
    plan_of = Plan([jobs[0], gone])
    still_to_do(plan_of, output=shelf, way=dict, overwrite=True, outcome=Outcome())
    killed = Ledger(shelf)
    assert list(killed._notes) == ["a.jpg", "b.jpg"]
    doubt = killed.objection(jobs[0], {"strength": 1}, overwrite=False)
    assert doubt == f"{shelf}/a.jpg may be of other weights or options; --overwrite makes it anew"
    assert killed.objection(jobs[0], {"strength": 1}, overwrite=True) is None
    assert killed.objection(jobs[1], {"strength": 1}, overwrite=False) is None
    killed.note(jobs[0], content_of(jobs[0].source), {"strength": 2})
    assert killed.objection(jobs[0], {"strength": 2}, overwrite=False) is None


def test_a_store_that_says_nothing_of_what_is_done_ends_the_plan(
    shelf: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job(shelf / f"{i}.jpg", tmp_path / "out" / f"{i}.jpg") for i in range(30)]
    (tmp_path / "out").mkdir()
    ledger = Ledger(tmp_path / "out")
    for job in jobs:
        assert isinstance(job.target, Path)
        job.target.touch()
        ledger.note(job, "x", {})

    def fail(self: Folder, path: str, **_: Any) -> Any:
        raise ConnectionError("reset")

    monkeypatch.setattr(Folder, "info", fail)
    outcome = Outcome()
    still_to_do(Plan(jobs), output=tmp_path / "out", way=dict, overwrite=False, outcome=outcome)
    assert len(outcome.failures) == 30, "which took no time"
    monkeypatch.setattr(stores, "LOST_S", 0.0)
    outcome = Outcome()
    with pytest.raises(StoreError, match=r"2\.jpg: the store can't be used"):
        still_to_do(Plan(jobs), output=tmp_path / "out", way=dict, overwrite=False, outcome=outcome)
    assert len(outcome.failures) == stores.LOST - 1


def test_a_store_that_can_not_be_written_is_told_before_anything_begins(
    shelf: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(Path("a.jpg"), shelf / "a.jpg")
    way: Callable[[], dict[str, Any]] = dict

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Folder, "put_file", refuse)
    with pytest.raises(PhotoError, match="PermissionError: no"):
        still_to_do(Plan([job]), output=shelf, way=way, overwrite=False, outcome=Outcome())
