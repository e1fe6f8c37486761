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
    413: {"description": "The photo is too large"},
    422: {"description": "The photo or an option is not as it must be"},
    429: {"description": "Too many photos wait; Retry-After says when to ask again"},
}
"""What such a route answers."""

RESTORED: dict[str, Any] = {
    "responses": {
        200: {
            "description": "The restored photo; what is doubtful in it is in X-Mirnet-Notes",
            "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
        },
        **{status: JOB[status] for status in (413, 422, 429)},
    },
}
"""What a route answers that gives a photo at once."""
