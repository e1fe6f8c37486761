"""A running server, from outside: what is restored, what is refused, and what is left behind."""

import dataclasses
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from mirnet.errors import ServerError
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.web.client import Client
from mirnet.web.order import Order
from mirnet.web.serving import own_folder
from tests.conftest import random_pixels
from tests.imaging.containers.dngs import dng
from tests.imaging.containers.heics import heic
from tests.web.conftest import PATIENCE_S, Server, Start, serving

EXAMPLE = Path(__file__).parents[2] / "examples" / "phone-night.png"


def ready(server: Server) -> httpx.Client:
    http = server.http()
    until = time.monotonic() + PATIENCE_S
    while http.get("/readyz").status_code != 200:
        assert time.monotonic() < until
        time.sleep(0.1)
    return http


def submit(http: httpx.Client, path: Path, **fields: str) -> dict[str, Any]:
    with path.open("rb") as file:
        response = http.post("/v1/jobs", data=fields, files={"photo": (path.name, file)})
    assert response.status_code == 202, response.text
    return dict(response.json())


def followed(http: httpx.Client, job: dict[str, Any]) -> list[dict[str, Any]]:
    """What the server tells of a job until it is over."""
    told = []
    with http.stream("GET", job["links"]["events"]) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if line.startswith("data:"):
                told.append(json.loads(line[5:]))
    return told


def slow_photo(folder: Path) -> Path:
    """A photo that takes many seconds, whatever the machine."""
    path = folder / "slow.png"
    pixels = np.full((1600, 2000, 3), 90, np.uint8)
    pixels[::2, ::3] = 110
    write_photo(Photo(pixels=pixels), path)
    return path


def small_photo(folder: Path, name: str = "small.png", dtype: str = "uint8") -> Path:
    path = folder / name
    noise = np.random.default_rng(7).integers(60, 120, (40, 56, 3))
    pixels = noise.astype(dtype) * (257 if dtype == "uint16" else 1)
    write_photo(Photo(pixels=pixels.astype(dtype)), path)
    return path


def test_the_result_is_that_of_the_command_line(server: Server, tmp_path: Path) -> None:
    source = small_photo(tmp_path)
    command = [sys.executable, "-m", "mirnet", "restore", str(source), "-o", str(tmp_path / "out")]
    options = ["--strength", "0.7", "--format", "jpg", "--quality", "90"]
    subprocess.run(
        [*command, *options], check=True, capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    expected = (tmp_path / "out" / "small.jpg").read_bytes()
    fields = {"strength": "0.7", "format": "jpg", "quality": "90"}
    http = ready(server)
    with source.open("rb") as file:
        at_once = http.post("/v1/restore", data=fields, files={"photo": ("small.png", file)})
    assert at_once.content == expected
    assert at_once.headers["content-type"] == "image/jpeg"
    assert 'filename="small.jpg"' in at_once.headers["content-disposition"]
    job = submit(http, source, **fields)
    told = followed(http, job)
    assert told[-1]["state"] == "done"
    assert told[-1]["progress"] == 1
    assert http.get(job["links"]["result"]).content == expected
    assert http.delete(job["links"]["self"]).status_code == 204
    gone = http.get(job["links"]["self"])
    assert gone.status_code == 404
    assert "was forgotten" in gone.json()["detail"]


def test_photos_of_phones_and_cameras_become_what_the_command_line_makes_of_them(
    server: Server, tmp_path: Path
) -> None:
    http, pixels = ready(server), random_pixels((24, 32, 3))
    for name, content, result in (
        ("a.HEIC", heic(pixels), "a.jpg"),
        ("b.heic", heic(pixels.astype(np.uint16) * 257, bits=10), "b.tif"),
        ("c.dng", dng(pixels / 255), "c.tif"),
    ):
        sent = {"photo": (name, content)}
        restored = http.post("/v1/restore", data={"strength": "0"}, files=sent)
        assert restored.status_code == 200, restored.text
        assert f'filename="{result}"' in restored.headers["content-disposition"]
        for file, data in ((name, content), (result, restored.content)):
            (tmp_path / file).write_bytes(data)
        if result.endswith(".tif"):
            came, was = (read_photo(tmp_path / each) for each in (result, name))
            assert np.array_equal(came.pixels, was.pixels)
    cut = http.post("/v1/restore", files={"photo": ("a.heic", heic(pixels)[:400])})
    assert cut.status_code == 422
    assert cut.json()["detail"].startswith("a.heic: ")


def test_what_a_browser_cannot_show_is_given_as_png(server: Server, tmp_path: Path) -> None:
    source = small_photo(tmp_path, "deep.tif", "uint16")
    http = ready(server)
    job = submit(http, source, strength="0", visible="10,5,20,20")
    assert job["links"]["before"] is None  # until it is there
    last = followed(http, job)[-1]
    assert last["preview"] == {"x": 10, "y": 5, "width": 20, "height": 20, "enlarge": 1}
    pixels = {}
    for what in ("before", "after", "preview"):
        response = http.get(last["links"][what])
        assert response.headers["content-type"] == "image/png"
        (tmp_path / "seen.png").write_bytes(response.content)
        pixels[what] = read_photo(tmp_path / "seen.png").pixels
    original = read_photo(source).pixels
    assert np.array_equal(pixels["before"], (original // 257).astype(np.uint8))
    assert np.array_equal(pixels["after"], pixels["before"])  # strength 0
    assert np.array_equal(pixels["preview"], pixels["before"][5:25, 10:30])
    (tmp_path / "result.tif").write_bytes(http.get(job["links"]["result"]).content)
    assert np.array_equal(read_photo(tmp_path / "result.tif").pixels, original)


def test_results_come_as_one_zip(server: Server, tmp_path: Path) -> None:
    http = ready(server)
    jobs = [submit(http, small_photo(tmp_path)) for _ in range(2)]
    for job in jobs:
        followed(http, job)
    ids = [job["id"] for job in jobs]
    for response in (
        http.post("/v1/zip", json={"ids": ids}),
        http.get("/v1/zip", params={"ids": ",".join(ids)}),
    ):
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert archive.namelist() == ["small.png", "small-2.png"]
            assert archive.read("small.png") == http.get(jobs[0]["links"]["result"]).content
    assert http.post("/v1/zip", json={"ids": ["nothing"]}).status_code == 404
    assert http.post("/v1/zip", json={"ids": []}).status_code == 422
    assert "ids" in http.post("/v1/zip", json={}).json()["detail"]


def bomb() -> bytes:
    """A PNG of 60,000×60,000 pixels, all of them there, in 11 MB."""
    packer = zlib.compressobj()
    packer.compress(bytes(1 << 20))
    packer.flush(zlib.Z_FULL_FLUSH)
    zeros = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    pixels = b"\x78\x9c" + zeros * (60_000 * (60_000 * 3 + 1) // (1 << 20) + 1)
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", pixels), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def truncated_jpeg(folder: Path) -> bytes:
    path = folder / "whole.jpg"
    write_photo(Photo(pixels=read_photo(EXAMPLE).pixels), path)
    return path.read_bytes()[:20_000]


@pytest.mark.parametrize(
    ("name", "fields", "status", "says"),
    [
        ("bomb.png", {}, 413, "bomb.png: is 60000×60000 pixels; this server takes 200 megapixels"),
        ("cut.jpg", {}, 422, "cut.jpg: truncated or damaged"),
        ("text.png", {}, 422, "text.png: is no PNG, JPEG, TIFF"),
        ("../../../etc/text.png", {}, 422, "text.png: is no PNG"),
        ("small.png", {"task": "magic"}, 422, "task: must be one of denoising"),
        ("small.png", {"wieghts": "x"}, 422, "wieghts: is no option"),
        ("slow.png", {}, 413, "slow.png: has more than 2097152 pixels; send it to /v1/jobs"),
    ],
)
def test_bad_requests_get_one_clear_line(
    name: str, fields: dict[str, str], status: int, says: str, server: Server, tmp_path: Path
) -> None:
    make: dict[str, Callable[[], bytes]] = {
        "bomb.png": bomb,
        "cut.jpg": lambda: truncated_jpeg(tmp_path),
        "text.png": lambda: b"I am a text",
        "small.png": lambda: small_photo(tmp_path).read_bytes(),
        "slow.png": lambda: slow_photo(tmp_path).read_bytes(),
    }
    content = make[Path(name).name]()
    http = ready(server)
    response = http.post("/v1/restore", data=fields, files={"photo": (name, content)})
    assert response.status_code == status, response.text
    detail = response.json()["detail"]
    assert detail.startswith(says)
    assert "\n" not in detail
    assert "--" not in detail
    assert name != "cut.jpg" or detail.endswith("with allow_damaged")
    assert str(server.temporary) not in detail


def test_a_large_upload_is_refused_and_not_kept(start: Start) -> None:
    server = start("--max-bytes", "1MiB")
    response = server.http().post("/v1/jobs", files={"photo": ("a.png", bytes(48 << 20))})
    assert response.status_code == 413
    assert response.json()["detail"] == ("the request is too large; this server takes 1 MiB")
    head = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
    pieces = (head + b"x" * (1 << 19) if n == 0 else b"x" * (1 << 19) for n in range(4))
    content_type = {"Content-Type": "multipart/form-data; boundary=b"}
    response = server.http().post("/v1/jobs", content=pieces, headers=content_type)
    assert response.status_code == 413
    assert not list(server.temporary.rglob("job-*"))


def test_a_full_queue_says_when_to_come_back(start: Start, tmp_path: Path) -> None:
    server = start("--max-jobs", "1")
    http = ready(server)
    slow = slow_photo(tmp_path)
    running = submit(http, slow)
    while http.get(running["links"]["self"]).json()["state"] == "waiting":
        time.sleep(0.05)
    waiting = submit(http, slow)
    assert waiting["position"] == 1
    refused = http.post("/v1/jobs", files={"photo": ("a.png", slow.read_bytes())})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["detail"].startswith("1 photo already in the queue; try again in ")
    early = http.get(running["links"]["result"])
    assert early.status_code == 409
    # Cancelled while it waits, and in the middle of the network.
    for job in (waiting, running):
        assert http.post(job["links"]["self"] + "/cancel").json()["state"] == "cancelled"
    assert followed(http, running)[-1]["state"] == "cancelled"
    after = submit(http, small_photo(tmp_path))
    assert followed(http, after)[-1]["state"] == "done"
    counted = http.get("/metrics").text
    assert 'mirnet_jobs_total{state="cancelled",task="denoising"} 2.0' in counted
    assert 'mirnet_refused_total{status="429"} 1.0' in counted


def test_a_photo_that_takes_too_long_is_ended(start: Start, tmp_path: Path) -> None:
    server = start("--job-s", "1")
    http = ready(server)
    last = followed(http, submit(http, slow_photo(tmp_path)))[-1]
    assert last["state"] == "failed"
    assert last["detail"].startswith("slow.png: took longer than the 1 s")


def test_a_worker_that_dies_takes_one_photo_with_it(start: Start, tmp_path: Path) -> None:
    server = start()
    http = ready(server)
    job = submit(http, slow_photo(tmp_path))
    while http.get(job["links"]["self"]).json()["step"] != "restoring":
        time.sleep(0.05)
    for child in psutil.Process(server.process.pid).children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    last = followed(http, job)[-1]
    assert last["state"] == "failed"
    assert last["detail"].startswith("slow.png: ended the process that restored it")
    assert followed(http, submit(http, small_photo(tmp_path)))[-1]["state"] == "done"


def test_after_a_kill_nothing_is_left(start: Start, tmp_path: Path) -> None:
    server = start()
    http = ready(server)
    submit(http, slow_photo(tmp_path))
    children = psutil.Process(server.process.pid).children(recursive=True)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    (left,) = server.temporary.glob("mirnet-serve-*")  # the next server removes it
    assert list(left.rglob("photo.png"))
    with own_folder(server.temporary) as folder:
        assert list(server.temporary.glob("mirnet-serve-*")) == [folder]
    assert not list(server.temporary.glob("mirnet-serve-*"))


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_with_its_files(name: str, start: Start, tmp_path: Path) -> None:
    number = getattr(signal, name)
    server = start()
    http = ready(server)
    job = submit(http, slow_photo(tmp_path))
    with http.stream("GET", job["links"]["events"]) as response:
        lines = response.iter_lines()
        next(lines)
        server.process.send_signal(number)
        assert '"state": "cancelled"' in "".join(lines)  # who watches is told
    assert server.process.wait(30) == 128 + number
    assert not list(server.temporary.glob("mirnet-serve-*"))


def test_the_client_restores_a_file(server: Server, tmp_path: Path) -> None:
    source, target = small_photo(tmp_path), tmp_path / "clean.png"
    seen: list[dict[str, Any]] = []
    ready(server)
    with Client(server.address) as client:
        notes = client.restore(source, target, follow=seen.append, strength=0.5, chroma_only=True)
        assert read_photo(target).header == read_photo(source).header
        assert isinstance(notes, tuple)
        assert seen[-1]["state"] == "done"
        assert client.models()["device"] == "cpu"
        with pytest.raises(ServerError, match="strength: must be a number from 0 to 1"):
            client.restore(source, target, strength=7)
        text = tmp_path / "text.png"
        text.write_text("text")
        with pytest.raises(ServerError, match=r"^text\.png: is no PNG"):
            client.restore(text, target)
    with (
        pytest.raises(ServerError, match=r"does not answer .*check the address"),
        Client("http://127.0.0.1:9") as nobody,
    ):
        nobody.models()


def test_a_worker_that_cannot_start_says_why(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken = tmp_path / "openvino"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('broken')")
    with serving(
        tmp_path_factory.mktemp("serve"), "--runtime", "openvino", path=tmp_path
    ) as server:
        last = followed(server.http(), submit(server.http(), small_photo(tmp_path)))[-1]
    assert last["state"] == "failed"
    assert last["detail"].startswith("small.png: no worker can start (")
    assert "openvino" in last["detail"].lower() or "broken" in last["detail"]


def test_an_idle_worker_that_was_killed_costs_no_photo(start: Start, tmp_path: Path) -> None:
    server = start()
    http = ready(server)
    for child in psutil.Process(server.process.pid).children():
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    assert followed(http, submit(http, small_photo(tmp_path)))[-1]["state"] == "done"


def test_results_are_forgotten_in_time(start: Start, tmp_path: Path) -> None:
    server = start("--keep-s", "1")
    http = ready(server)
    job = submit(http, small_photo(tmp_path))
    followed(http, job)
    submit(http, slow_photo(tmp_path))  # which keeps the worker busy
    until = time.monotonic() + PATIENCE_S
    while http.get(job["links"]["self"]).status_code != 404:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_openapi_names_every_option(server: Server) -> None:
    described = server.http().get("/v1/openapi.json").json()
    form = described["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["multipart/form-data"]
    options = {field.name for field in dataclasses.fields(Order)}
    assert set(form["schema"]["properties"]) == {"photo", "right", *options}
    told = described["paths"]
    refused = set(told["/v1/restore"]["post"]["responses"])
    statuses = ("200", *map(str, (400, 401, 403, 408, 413, 415, 421, 422, 429, 500, 507)))
    assert refused == set(statuses)
    events = told["/v1/jobs/{id}/events"]["get"]["responses"]
    assert list(events["200"]["content"]) == ["text/event-stream"]
    assert "404" in events
    assert "409" in told["/v1/jobs/{id}/result"]["get"]["responses"]
    zipped = told["/v1/zip"]["post"]["responses"]
    assert list(zipped["200"]["content"]) == ["application/zip"]
    assert list(told["/v1/jobs/{id}/result"]["get"]["responses"]["200"]["content"]) == ["image/*"]
    assert "400" in zipped
    assert "503" in told["/readyz"]["get"]["responses"]


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/healthz", "/v1/models", "/metrics"])
def test_head_answers_as_get_without_the_body(path: str, server: Server) -> None:
    http = server.http()
    asked, got = http.head(path), http.get(path)
    assert (asked.status_code, asked.content) == (got.status_code, b"") == (200, b"")
    assert asked.headers["Content-Type"] == got.headers["Content-Type"]
    assert http.head("/v1/restore").status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, HEAD, POST"),
        ("PATCH", "/v1/jobs/some", "DELETE, GET"),
        ("GET", "/v1/restore", "POST"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/page/app.js", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_has_not_is_answered_by_those_it_has(
    method: str, path: str, allowed: str, server: Server
) -> None:
    refused = server.http().request(method, path)
    assert (refused.status_code, refused.headers["Allow"]) == (405, allowed)


def test_an_upload_that_is_broken_off_leaves_no_job_and_no_file(server: Server) -> None:
    http = ready(server)
    before = [job["id"] for job in http.get("/v1/jobs").json()["jobs"]]
    files = {path for path in server.temporary.rglob("*") if path.is_file()}
    url = httpx.URL(server.address)
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Length: 100000\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\nContent-Disposition: "
        'form-data; name="photo"; filename="a.png"\r\n\r\n'
    )
    with socket.create_connection((url.host, url.port or 80)) as half:
        half.sendall(head.encode() + b"x" * 50_000)
    deadline = time.monotonic() + 20
    while 'status="400"' not in http.get("/metrics").text and time.monotonic() < deadline:
        time.sleep(0.1)
    assert 'status="400"' in http.get("/metrics").text
    assert [job["id"] for job in http.get("/v1/jobs").json()["jobs"]] == before
    assert {path for path in server.temporary.rglob("*") if path.is_file()} == files


def test_an_address_that_is_taken_is_one_line(server: Server) -> None:
    port = server.address.rstrip("/").rpartition(":")[2]
    run = subprocess.run(
        [sys.executable, "-m", "mirnet", "serve", "--port", port], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.startswith(f"mirnet: --host 127.0.0.1 --port {port}: can't be listened on")
    assert run.stderr.count("\n") == 1
