"""Who may ask, how much they may send, and what every answer carries.

A page of another site can make a browser ask a server on this machine, but not in our name: the
name that the server is called by (Host) and the page that asks (Origin, Sec-Fetch-Site) must be
our own.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mirnet.units import in_bytes
from mirnet.web.settings import LOOPBACK, Settings, is_loopback

COOKIE = "mirnet-token"
"""Of the page; its port follows, since all ports of a host share their cookies."""
OPEN = frozenset(("/healthz", "/readyz"))
"""Paths that need no token."""
SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
DRAIN_S = 10.0
"""How long the rest of a refused body is read, so that its sender comes to read the answer."""
SILENT_S = 1.0
"""After so long without a byte it is no longer read."""
ARRIVING_S = 30.0
"""The longest silence of a body that is wanted, in seconds."""
LEAST_RATE = 4 << 10
"""Bytes a second that come on the mean, once that time is over: who waits holds a place."""
UPLOADS = frozenset(("/v1/jobs", "/v1/restore"))
SMALL = 1 << 16
"""Bytes that any other request may have."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no: its status, its reason in one line, more headers."""

    status: int
    detail: str
    headers: dict[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As JSON."""
        return JSONResponse({"detail": self.detail}, self.status, self.headers)


class Gate:
    """Middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        refused: Callable[[int], object] = lambda status: None,
    ) -> None:
        """Guard an application; ``refused`` hears the status of each refusal."""
        self._app, self._settings, self._refused = app, settings, refused
        names = {LOOPBACK, settings.host.lower(), *(name.lower() for name in settings.names)}
        if not is_loopback(settings.host):
            names.add(socket.gethostname().lower())
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or let it through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        body = _Body(receive, self._most(request.url.path))
        send = self._dressed(send, body)
        if self._shows_token_in_address(request):
            login = RedirectResponse("/", 303)
            token = self._settings.token or ""
            login.set_cookie(_cookie(request), token, httponly=True, samesite="strict")
            await login(scope, body, send)
        elif refusal := self._objection(request):
            await refusal.response()(scope, body, send)
        else:
            await self._app(scope, body, send)

    def _objection(self, request: Request) -> Refusal | None:
        host = request.headers.get("host", "")
        if not self._is_ours(host):
            why = "is no name of this server; call it by one, or ask its owner to add this one"
            return Refusal(421, f"Host {host[:80]!r}: {why}")
        if not _is_own_page(request.headers, host, request.method):
            return Refusal(403, "a page of another site asks; open this server's own page")
        if request.url.path not in OPEN and not self._shows_token(request):
            return Refusal(
                401,
                "the token is missing or wrong; open the link that `mirnet serve` printed, or send "
                "it as `Authorization: Bearer …`",
                {"WWW-Authenticate": "Bearer"},
            )
        length = request.headers.get("content-length", "0")
        most = self._most(request.url.path)
        if not re.fullmatch(r"[0-9]{1,18}", length) or int(length) > most:
            return _too_large(most)
        return None

    def _is_ours(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        name = name.strip("[]").lower().rstrip(".")
        if name in self._names:
            return True
        try:
            # An address can't be made to point elsewhere. From outside it can't be loopback.
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not is_loopback(self._settings.host)

    def _shows_token(self, request: Request) -> bool:
        if self._settings.token is None:
            return True
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        bearer = shown if scheme.lower() == "bearer" else ""
        return any(map(self._is_token, (bearer, request.cookies.get(_cookie(request), ""))))

    def _shows_token_in_address(self, request: Request) -> bool:
        return (
            self._settings.token is not None
            and request.method == "GET"
            and request.url.path == "/"
            and self._is_ours(request.headers.get("host", ""))
            and self._is_token(request.query_params.get("token", ""))
        )

    def _is_token(self, shown: str) -> bool:
        token = self._settings.token or ""
        return hmac.compare_digest(shown.strip().encode(), token.encode())

    def _most(self, path: str) -> int:
        return self._settings.max_bytes if path in UPLOADS else SMALL

    def _dressed(self, send: Send, body: _Body) -> Send:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= 400:
                    self._refused(message["status"])
                    await body.drain()
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return dressed


def _cookie(request: Request) -> str:
    _, port = request.scope.get("server") or ("", None)
    return f"{COOKIE}-{port}" if port else COOKIE


def _too_large(most: int) -> Refusal:
    why = "this request has a body that it should not have"
    if most != SMALL:
        why = f"this server takes {in_bytes(most)}"
    return Refusal(413, f"the request is too large; {why}")


class _Body:
    """A request's body: read up to a bound, and to its end before a refusal is sent.

    Who still sends does not read: it would take the refusal for a broken connection.
    """

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._taken, self._is_read = 0, False
        self._began = time.monotonic()

    async def __call__(self) -> Message:
        """The next part; HTTPException if it is too much, or hardly comes."""
        if not self._is_read:
            self._require_pace()
        try:
            message = await self._next(None if self._is_read else ARRIVING_S)
        except TimeoutError as error:
            raise HTTPException(
                408, f"nothing came for {ARRIVING_S:g} s; send the request again"
            ) from error
        self._taken += len(message.get("body", b""))
        if self._taken > self._most:
            refusal = _too_large(self._most)
            raise HTTPException(refusal.status, refusal.detail)
        return message

    def _require_pace(self) -> None:
        took_s = time.monotonic() - self._began
        if took_s > ARRIVING_S and self._taken < LEAST_RATE * took_s:
            raise HTTPException(
                408, f"less than {LEAST_RATE >> 10} KiB came a second; send it by a faster line"
            )

    async def drain(self) -> None:
        """Read what is left and drop it, for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while not self._is_read:
                    await self._next(SILENT_S)

    async def _next(self, patience_s: float | None) -> Message:
        async with asyncio.timeout(patience_s):
            message = await self._receive()
        self._is_read = message["type"] != "http.request" or not message.get("more_body")
        return message


def _is_own_page(headers: Headers, host: str, method: str) -> bool:
    """Whether no other site's page makes the browser ask."""
    if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        # Links to the page itself are no harm.
        return method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    origin = headers.get("origin")
    if origin is None or (method in SAFE and origin != "null"):
        return True
    return origin.partition("://")[2].lower() == host.lower()
