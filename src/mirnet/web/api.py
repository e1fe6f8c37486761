"""The routes below ``/v1``: jobs, what comes of them, and the models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Body, HTTPException, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from mirnet.checkpoints.catalog import CATALOG, DEFAULTS
from mirnet.choices import FileFormat
from mirnet.errors import MirnetError
from mirnet.imaging.io import SUFFIXES
from mirnet.tasks.registry import TASKS
from mirnet.web.documents import EVENTS, FORM, JOB, PICTURE, RESTORED, ZIP, refusals
from mirnet.web.downloads import attachment, kind, zipped
from mirnet.web.intake import TooLargeError, accepted
from mirnet.web.job import Job
from mirnet.web.jobs import MOST_KEPT, BusyError, Jobs
from mirnet.web.settings import SYNC_PIXELS, Settings

PAUSE_S = 0.2
"""The least time between two events of a job."""
ARRIVAL_S = 600.0
"""The longest that a request may take to arrive, in seconds."""


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


def router(jobs: Jobs, settings: Settings, device: str) -> APIRouter:
    """The routes for these jobs."""
    routes = APIRouter(prefix="/v1")

    @routes.get("/models", summary="Tasks, weights, and the limits of this server")
    def models() -> dict[str, Any]:
        return _models(settings, device)

    @routes.post("/jobs", status_code=202, summary="Restore a photo", **FORM, responses=JOB)
    async def submit(request: Request) -> JSONResponse:
        job = await _arrive(request, jobs, settings)
        jobs.add(job)
        return JSONResponse(job.facts(jobs.position(job)), 202)

    @routes.post("/restore", summary="Restore a small photo while you wait", **FORM, **RESTORED)
    async def restore(request: Request) -> Response:
        job = await _arrive(request, jobs, settings)
        try:
            if job.pixels > SYNC_PIXELS:
                raise HTTPException(
                    413,
                    f"{job.name}: has more than {SYNC_PIXELS} pixels; send it to /v1/jobs, and ask "
                    "for its result later",
                )
            jobs.add(job)
            await _over(job, request)
            if job.state != "done":
                status = 500 if job.is_blameless else 422
                raise HTTPException(status, job.detail or f"{job.name}: was cancelled")
            content = await run_in_threadpool(job.errand.target.read_bytes)
            headers = attachment(job.result_name)
            if job.notes:
                headers["X-Mirnet-Notes"] = json.dumps(job.notes)
            return Response(content, media_type=kind(job.errand.target), headers=headers)
        finally:
            await run_in_threadpool(jobs.forget, job)

    @routes.get("/jobs", summary="All jobs of this server")
    def all_jobs() -> dict[str, Any]:
        return {"jobs": [job.facts(jobs.position(job)) for job in jobs.all()]}

    @routes.get("/jobs/{id}", summary="How far a job is", responses=refusals(404))
    def one(id: str) -> dict[str, Any]:
        job = _known(jobs, id)
        return job.facts(jobs.position(job))

    @routes.get(
        "/jobs/{id}/events",
        summary="The same, at each change, as server-sent events",
        response_class=EventStream,
        responses=EVENTS,
    )
    async def events(id: str) -> StreamingResponse:
        return EventStream(_events(_known(jobs, id), jobs))

    @routes.get(
        "/jobs/{id}/result",
        summary="The restored photo",
        response_class=FileResponse,
        responses=PICTURE,
    )
    def result(id: str) -> FileResponse:
        job = _done(jobs, id)
        headers = attachment(job.result_name)
        return FileResponse(job.errand.target, media_type=kind(job.errand.target), headers=headers)

    @routes.get(
        "/jobs/{id}/{picture}",
        summary="A picture of it for a browser",
        response_class=FileResponse,
        responses=PICTURE,
    )
    def picture(id: str, picture: str) -> FileResponse:
        job = _known(jobs, id)
        if picture not in ("before", "after", "preview"):
            raise HTTPException(404, f"{picture}: there are result, before, after and preview")
        if picture == "after":
            _done(jobs, id)
        path = {"before": job.before, "after": job.after, "preview": job.errand.preview}[picture]
        if not path.is_file():
            raise HTTPException(404, f"{job.name}: there is no such picture yet")
        return FileResponse(path, media_type=kind(path))

    @routes.post(
        "/jobs/{id}/cancel", summary="Cancel a job, and keep it listed", responses=refusals(404)
    )
    def cancel(id: str) -> dict[str, Any]:
        job = _known(jobs, id)
        jobs.cancel(job)
        return job.facts(0)

    @routes.delete(
        "/jobs/{id}",
        status_code=204,
        summary="Cancel a job and remove its files",
        responses=refusals(404),
    )
    def forget(id: str) -> None:
        jobs.forget(_known(jobs, id))

    @routes.post(
        "/zip",
        summary="Results of several jobs",
        response_class=StreamingResponse,
        responses=ZIP,
    )
    def zip_of(
        ids: Annotated[list[str], Body(embed=True, max_length=MOST_KEPT)],
    ) -> StreamingResponse:
        return zipped([_done(jobs, id) for id in dict.fromkeys(ids)], jobs.folder)

    @routes.get(
        "/zip",
        summary="The same, as a link",
        response_class=StreamingResponse,
        responses=ZIP,
    )
    def zip_link(
        ids: Annotated[str, Query(description="separated by commas")],
    ) -> StreamingResponse:
        return zipped([_done(jobs, id) for id in dict.fromkeys(ids.split(","))], jobs.folder)

    return routes


def _models(settings: Settings, device: str) -> dict[str, Any]:
    return {
        "device": device,
        "models": [
            {
                "name": each.name,
                "task": each.task,
                "summary": each.summary,
                "is_default": DEFAULTS[each.task] == each.name,
                "views": TASKS[each.task].views,
            }
            for each in CATALOG.values()
        ],
        "tasks": [
            {
                "name": task.name,
                "summary": task.summary,
                "weights": task.weights,
                "views": task.views,
            }
            for task in TASKS.values()
        ],
        "limits": {
            "bytes": settings.max_bytes,
            "pixels": settings.max_pixels,
            "queue": settings.max_jobs,
            "job_s": settings.job_s,
            "sync_pixels": SYNC_PIXELS,
        },
        "suffixes": sorted(SUFFIXES),
        "formats": list(get_args(FileFormat)),
    }


async def _arrive(request: Request, jobs: Jobs, settings: Settings) -> Job:
    """Take a place in the queue, then the request's body, then look at what it holds."""
    told = request.headers.get("content-length", "")  # which the gate has looked at
    size = int(told) if told else settings.max_bytes
    try:
        await run_in_threadpool(jobs.reserve, size)
    except BusyError as error:
        raise HTTPException(429, str(error), {"Retry-After": str(error.retry_s)}) from error
    try:
        sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if sent != "multipart/form-data":
            raise HTTPException(415, "send multipart/form-data, with the file in the field photo")
        async with asyncio.timeout(ARRIVAL_S), request.form(max_files=2, max_fields=32) as form:
            return await run_in_threadpool(accepted, form, settings, jobs.folder)
    except TooLargeError as error:
        raise HTTPException(413, str(error)) from error
    except MirnetError as error:
        raise HTTPException(422, str(error)) from error
    except UnicodeError as error:
        raise HTTPException(422, "the form is not in UTF-8") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the photo did not arrive whole") from error
    except TimeoutError as error:
        raise HTTPException(408, f"the photo did not arrive within {ARRIVAL_S:g} s") from error
    except OSError as error:
        raise HTTPException(507, f"the server can't store it ({error.strerror})") from error
    finally:
        jobs.release(size)


@asynccontextmanager
async def _watched(job: Job) -> AsyncIterator[asyncio.Event]:
    """An event that is set at each change, by whichever thread makes it."""
    loop, changed = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the server is ending
            loop.call_soon_threadsafe(changed.set)

    job.wake.add(wake)
    try:
        yield changed
    finally:
        job.wake.discard(wake)


async def _over(job: Job, request: Request) -> None:
    """Wait until a job is over; who has hung up needs it no more."""
    async with _watched(job) as changed:
        while not job.is_over:
            changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 1.0)
            if await request.is_disconnected():
                return


async def _events(job: Job, jobs: Jobs) -> AsyncIterator[str]:
    async with _watched(job) as changed:
        while True:
            changed.clear()
            is_over = job.is_over
            yield f"event: job\ndata: {json.dumps(job.facts(jobs.position(job)))}\n\n"
            if is_over:
                return
            await asyncio.sleep(PAUSE_S)
            with suppress(TimeoutError):
                # Time goes on where nothing else changes.
                await asyncio.wait_for(changed.wait(), 1.0)


def _known(jobs: Jobs, id: str) -> Job:
    job = jobs.get(id)
    if job is None:
        raise HTTPException(404, f"job {id[:40]}: is not known, or was forgotten")
    return job


def _done(jobs: Jobs, id: str) -> Job:
    job = _known(jobs, id)
    if job.state != "done":
        raise HTTPException(409, job.detail or f"{job.name}: has no result ({job.step})")
    return job
