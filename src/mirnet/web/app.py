"""The application: the page, the API, and what keeps them going."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import mirnet
from mirnet.web.api import router
from mirnet.web.crew import Crew
from mirnet.web.documents import ANY, refusals
from mirnet.web.gate import Gate
from mirnet.web.jobs import Jobs
from mirnet.web.order import in_fields
from mirnet.web.settings import Settings
from mirnet.web.telemetry import Telemetry

PAGE = Path(__file__).parent / "page"
HEADED = frozenset(
    ("/", "/healthz", "/readyz", "/metrics", "/v1/models", "/v1/jobs", "/v1/openapi.json")
)
"""Paths that answer HEAD as GET, without the body, beside the files of the page."""
METHODS = ("DELETE", "GET", "POST")
"""Of all routes."""
FORGET_S = 2.0
"""Between two looks for old results, in seconds."""


def create_app(
    settings: Settings, devices: tuple[str, ...], folder: Path
) -> tuple[Gate, Callable[[], None]]:
    """The application as ASGI, and what ends its jobs, to be called before connections end.

    Args:
        settings: what the server was told.
        devices: one worker process for each.
        folder: for all files; it is there, and is this server's own.
    """
    telemetry = Telemetry()
    jobs = Jobs(settings, folder, telemetry.ended)
    crew = Crew(devices, jobs, settings)

    @asynccontextmanager
    async def alive(_: FastAPI) -> AsyncIterator[None]:
        crew.start()
        forgetting = asyncio.create_task(_forget_now_and_then(jobs))
        try:
            yield
        finally:
            forgetting.cancel()
            crew.stop()

    app = FastAPI(
        title="mirnet",
        summary="Restores noisy, dark, blurred and small photos.",
        version=mirnet.__version__,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # these pages load scripts from another host
        redoc_url=None,
        lifespan=alive,
        responses=ANY,
    )
    app.include_router(router(jobs, settings, ", ".join(devices)))
    app.mount("/page", StaticFiles(directory=PAGE), name="page")

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/healthz", summary="Whether the server answers")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether its workers have their weights", responses=refusals(503))
    def ready() -> dict[str, str]:
        if not crew.is_ready:
            raise HTTPException(503, "the workers are starting; try again in a few seconds")
        return {"status": "ready"}

    @app.get("/metrics", summary="Counters, for Prometheus", response_class=PlainTextResponse)
    def metrics() -> Response:
        return Response(telemetry.text(jobs.waiting), media_type="text/plain; version=0.0.4")

    @app.exception_handler(StarletteHTTPException)
    async def refuse(request: Request, error: StarletteHTTPException) -> JSONResponse:
        # A name from a client may hold what can't be encoded.
        detail = in_fields(str(error.detail)).encode("utf-8", "replace").decode()
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(app, request.scope))
        return JSONResponse({"detail": detail}, error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    async def refuse_values(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"][1:])) or "the request"
        return JSONResponse({"detail": f"{where}: {first['msg']}"}, 422)

    return Gate(_Heads(app), settings, telemetry.refuse), jobs.close


def _allowed(app: FastAPI, scope: Scope) -> list[str]:
    """The methods that a path has: the route that refuses knows its own alone."""
    routes = [route for route in app.routes if not isinstance(route, Mount)]
    methods = [
        method
        for method in METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    is_headed = not methods or scope["path"] in HEADED
    return sorted({*(methods or ["GET"]), *(["HEAD"] if is_headed else [])})


class _Heads:
    """Middleware that lets an application answer HEAD as it does GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        if scope.get("method") == "HEAD" and scope["path"] in HEADED:
            await self._app({**scope, "method": "GET"}, receive, without_body)
        else:
            await self._app(scope, receive, send)


async def _forget_now_and_then(jobs: Jobs) -> None:
    """Forget what is old, also while all workers are busy."""
    while True:
        await asyncio.sleep(FORGET_S)
        await run_in_threadpool(jobs.forget_old)
