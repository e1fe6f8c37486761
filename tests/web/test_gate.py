import asyncio
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message

from mirnet.errors import ConfigError
from mirnet.web import gate
from mirnet.web.gate import Gate
from mirnet.web.settings import Settings

TOKEN = "0123456789abcdef"


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


def client(**settings: object) -> TestClient:
    paths = ("/", "/v1/jobs", "/healthz")
    inner = Starlette(routes=[Route(path, echo, methods=["GET", "POST"]) for path in paths])
    chosen = Settings(**settings)  # type: ignore[arg-type]
    return TestClient(Gate(inner, chosen), "http://127.0.0.1:8765")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8765", "[::1]:8765", "LOCALHOST:1"])
def test_own_names_pass(host: str) -> None:
    assert client().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "10.0.0.1", ""])
def test_other_names_are_refused(host: str) -> None:
    response = client().get("/", headers={"Host": host})
    assert response.status_code == 421
    assert "is no name of this server" in response.json()["detail"]


def test_a_name_can_be_added() -> None:
    named = client(names=("photos.lan",))
    assert named.get("/", headers={"Host": "photos.lan:8765"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_pages_of_other_sites_are_refused(headers: dict[str, str]) -> None:
    response = client().post("/v1/jobs", headers=headers)
    assert response.status_code == 403
    assert "another site" in response.json()["detail"]


def test_the_own_page_and_programs_pass() -> None:
    own = {"Origin": "http://127.0.0.1:8765", "Sec-Fetch-Site": "same-origin"}
    assert client().post("/v1/jobs", headers=own).status_code == 200
    assert client().post("/v1/jobs").status_code == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client().get("/", headers=link).status_code == 200


def test_elsewhere_a_token_is_demanded() -> None:
    with pytest.raises(ConfigError, match="needs a --token"):
        Settings(host="0.0.0.0")
    guarded = client(host="0.0.0.0", token=TOKEN)
    refused = guarded.get("/v1/jobs")
    assert refused.status_code == 401
    assert "token is missing or wrong" in refused.json()["detail"]
    assert guarded.get("/healthz").status_code == 200
    for shown in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer é"):
        headers = {b"Authorization": shown.encode("latin-1")}
        assert guarded.get("/v1/jobs", headers=headers).status_code == 401
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/v1/jobs", headers=bearer).status_code == 200


def test_the_link_with_the_token_opens_the_page_once_and_for_all() -> None:
    guarded = client(host="0.0.0.0", token=TOKEN)
    assert guarded.get("/?token=wrong").status_code == 401
    response = guarded.get(f"/?token={TOKEN}", follow_redirects=False)
    assert response.status_code == 303
    assert response.headers["location"] == "/"
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guarded.get("/v1/jobs").status_code == 200  # by the cookie


def test_a_body_is_bounded_whether_its_length_is_told_or_not() -> None:
    bounded = client(max_bytes=1 << 20)
    most = bytes(1 << 20)
    assert bounded.post("/v1/jobs", content=most).text == str(1 << 20)
    assert bounded.post("/v1/jobs", content=most + b"x").status_code == 413
    pieces: Callable[[], object] = lambda: (most[: 1 << 19] for _ in range(3))  # noqa: E731
    response = bounded.post("/v1/jobs", content=pieces())  # type: ignore[arg-type]
    assert response.status_code == 413
    assert "this server takes 1 MiB" in response.text
    assert bounded.post("/v1/jobs", headers={"Content-Length": "many"}).status_code == 413


@pytest.mark.parametrize(("rate", "is_refused"), [(1 << 20, True), (1, False)])
def test_a_body_that_hardly_comes_is_not_waited_for(
    rate: int, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "ARRIVING_S", 0.05)
    monkeypatch.setattr(gate, "LEAST_RATE", rate)

    async def receive() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": bytes(100), "more_body": True}

    async def read() -> None:
        body = gate._Body(receive, 1 << 20)
        for _ in range(10):
            await body()

    with pytest.raises(HTTPException, match="408") if is_refused else nullcontext():
        asyncio.run(read())


def test_what_is_no_upload_is_small() -> None:
    response = client().post("/", content=bytes(1 << 17))
    assert response.status_code == 413
    assert "has a body that it should not have" in response.text


def test_refusals_are_counted() -> None:
    counted: list[int] = []
    guard = Gate(Starlette(), Settings(), counted.append)
    TestClient(guard, "http://127.0.0.1:8765").get("/", headers={"Host": "evil.example"})
    TestClient(guard, "http://127.0.0.1:8765").get("/nowhere")
    assert counted == [421, 404]


def test_a_token_is_one_that_a_header_can_carry() -> None:
    for token in ("pässwörtchen-12345", "with blanks in it 123", "short"):
        with pytest.raises(ConfigError, match="--token: must have 16 characters or more"):
            Settings(token=token)


@pytest.mark.parametrize("path", ["/", "/nowhere"])
def test_every_answer_carries_what_keeps_a_browser_safe(path: str) -> None:
    headers = client().get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("field", "value"),
    [("port", -1), ("max_bytes", 9), ("max_pixels", 0), ("max_jobs", 0), ("job_s", 0.0),
     ("keep_s", float("inf")), ("token", "short")],
)  # fmt: skip
def test_settings_have_ranges(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"--{field.replace('_', '-')}: must"):
        Settings(**{field: value})  # type: ignore[arg-type]


def test_servers_on_two_ports_of_a_host_have_cookies_of_their_own() -> None:
    login = client(token=TOKEN).get("/", params={"token": TOKEN}, follow_redirects=False)
    assert login.headers["Set-Cookie"].startswith(f"mirnet-token-8765={TOKEN};")
    for name, status in (("mirnet-token-8765", 200), ("mirnet-token-8766", 401)):
        asked = client(token=TOKEN).get("/", headers={"Cookie": f"{name}={TOKEN}"})
        assert asked.status_code == status
