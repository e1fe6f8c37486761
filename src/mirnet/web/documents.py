"""What OpenAPI says of forms and jobs, with examples."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, get_args

from mirnet.choices import FileDepth, FileFormat, TaskName
from mirnet.web.order import Order

_KINDS: dict[str, dict[str, Any]] = {
    "task": {"type": "string", "enum": list(get_args(TaskName))},
    "weights": {"type": "string", "description": "a name that /v1/models lists"},
    "strength": {"type": "number", "minimum": 0, "maximum": 1},
    "chroma_only": {"type": "boolean"},
    "detail": {"type": "number", "minimum": 0, "maximum": 1},
    "enlarge": {"type": "integer", "minimum": 1, "maximum": 4},
    "depth": {"type": "string", "enum": list(get_args(FileDepth))},
    "format": {"type": "string", "enum": list(get_args(FileFormat))},
    "quality": {"type": "integer", "minimum": 1, "maximum": 100},
    "allow_damaged": {"type": "boolean"},
    "visible": {
        "type": "string",
        "description": "x,y,width,height: a part of it is restored first, as a preview",
    },
}


def _properties() -> dict[str, Any]:
    properties: dict[str, Any] = {
        "photo": {"type": "string", "format": "binary"},
        "right": {
            "type": "string",
            "format": "binary",
            "description": "the right view of a dual-pixel photo",
        },
    }
    for field in fields(Order):
        kind = dict(_KINDS[field.name])
        if field.default is not MISSING and field.default is not None:
            kind["default"] = field.default
        properties[field.name] = kind
    return properties


FORM: dict[str, Any] = {
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["photo"],
                        "properties": _properties(),
                    },
                    "example": {"photo": "(the file)", "task": "denoising", "strength": 0.8},
                }
            },
        }
    }
}
"""Of a route that takes a photo."""

_WHY: dict[int, str] = {
    400: "The photo did not arrive whole, or the form or the list can't be read",
    401: "The token is missing or wrong",
    403: "A page of another site asks",
    404: "There is no such job, or no such picture of it",
    408: "Nothing came, or not all of it in time",
    409: "The job has no result, or none yet",
    413: "The request or the photo is too large",
    415: "It is no multipart/form-data",
    421: "The server is called by a name that is not its own",
    422: "The photo or an option is not as it must be",
    429: "Too many photos wait, or the disk is full; Retry-After says when to ask again",
    500: "The photo brought its process down, or took too long",
    503: "The workers are starting",
    507: "The disk is full",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers that are no, as OpenAPI has them."""
    schema = {"type": "object", "properties": {"detail": {"type": "string"}}}
    content = {"application/json": {"schema": schema}}
    return {status: {"description": _WHY[status], "content": content} for status in statuses}


ANY = refusals(401, 403, 413, 421)
"""What every route may answer; those that need no token don't answer 401."""
ARRIVAL = refusals(400, 408, 413, 415, 422, 429, 507)
"""What a route may answer that takes a photo."""

JOB: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "The job, which waits",
        "content": {
            "application/json": {
                "example": {
                    "id": "k3Jx0aR1mWn9dQ2u",
                    "state": "waiting",
                    "step": "waiting",
                    "name": "IMG_0001.jpg",
                    "result_name": "IMG_0001.jpg",
                    "task": "denoising",
                    "weights": "denoising-small",
                    "width": 4000,
                    "height": 3000,
                    "kind": "4000×3000, 8-bit RGB",
                    "enlarge": 1,
                    "position": 1,
                    "progress": None,
                    "elapsed_s": None,
                    "left_s": None,
                    "notes": [],
                    "detail": None,
                    "preview": None,
                    "links": {
                        "self": "/v1/jobs/k3Jx0aR1mWn9dQ2u",
                        "events": "/v1/jobs/k3Jx0aR1mWn9dQ2u/events",
                        "result": "/v1/jobs/k3Jx0aR1mWn9dQ2u/result",
                        "before": "/v1/jobs/k3Jx0aR1mWn9dQ2u/before",
                        "after": "/v1/jobs/k3Jx0aR1mWn9dQ2u/after",
                        "preview": "/v1/jobs/k3Jx0aR1mWn9dQ2u/preview",
                    },
                }
            }
        },
    },
    **ARRIVAL,
}
"""What a route answers that makes a job."""

EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "An event `job` at each change, whose data is the job, until it is over",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    **refusals(404),
}
"""What a route answers that tells of a job as it goes on."""


def _file(kind: str, description: str) -> dict[str, Any]:
    content = {kind: {"schema": {"type": "string", "format": "binary"}}}
    return {"description": description, "content": content}


PICTURE: dict[int | str, dict[str, Any]] = {
    200: _file("image/*", "The picture"),
    **refusals(404, 409),
}
"""What a route answers that gives a picture of a job."""

ZIP: dict[int | str, dict[str, Any]] = {
    200: _file("application/zip", "The photos under their names"),
    **refusals(400, 404, 409, 422, 507),
}
"""What a route answers that gives results of several jobs."""

RESTORED: dict[str, Any] = {
    "responses": {
        200: _file("image/*", "The restored photo; what is doubtful in it is in X-Mirnet-Notes"),
        **ARRIVAL,
        **refusals(500),
    },
}
"""What a route answers that gives a photo at once."""
