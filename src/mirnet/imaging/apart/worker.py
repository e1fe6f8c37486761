"""What a decoder's process does: keep to its limits, take a file, answer with a picture."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl: the signal that comes when the parent dies."""

INSTALL_ANEW = "install the package anew, or allow more memory"


class Request(NamedTuple):
    """What is wanted of a decoder, and what it may take.

    Attributes:
        memory: bytes of address space, where the system can limit it.
        seconds: of processor time, where the system can limit it.
        pixels: whether to decode; otherwise size and kind will do.
    """

    memory: int
    seconds: int
    pixels: bool


class Picture(NamedTuple):
    """What a decoder found.

    Attributes:
        height: rows.
        width: columns.
        channels: 1 or 3, and one more for alpha.
        bits: of a value; up to 8 are stored in one byte, more in the upper bits of two.
        notes: what is doubtful or was left out, a sentence each.
        data: rows from the top, channels together; empty if only size and kind were wanted.
    """

    height: int
    width: int
    channels: int
    bits: int
    notes: tuple[str, ...] = ()
    data: Any = b""


class RefusedError(Exception):
    """A decoder doesn't take a file; the message is the reason.

    Attributes:
        remedy: what to do.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        """Say why, and what to do."""
        super().__init__(reason)
        self.remedy = remedy


def serve(decode: Callable[[bytes, Request], Picture]) -> None:
    """Answer one request: a line of JSON, then the values of the picture, little-endian."""
    request = Request(**json.loads(sys.argv[1]))
    _end_with_parent()
    _limit(request)
    # What libraries print must not get between the values.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    data: Any = b""
    try:
        *header, data = decode(sys.stdin.buffer.read(), request)
        line: dict[str, Any] = dict(zip(Picture._fields, header, strict=False))
    except ModuleNotFoundError as error:
        line = {"missing": str(error)}
    except ImportError as error:  # no room for it, say
        line = {"fault": f"its decoder can't be loaded: {error}", "remedy": INSTALL_ANEW}
    except MemoryError:
        line = {"fault": "it takes more memory than a picture of this size should"}
    except RefusedError as error:
        line = {"fault": str(error), "remedy": error.remedy}
    except Exception as error:  # noqa: BLE001  (whatever a library raises is the answer)
        line = {"fault": _reason(error)}
    output.write(json.dumps(line).encode() + b"\n")
    output.write(data)
    output.close()


def _reason(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    if isinstance(text, bytes):  # rawpy's
        return text.decode("ascii", "replace")
    return str(error) or type(error).__name__


def _end_with_parent() -> None:
    """Where the system can: a parent that is killed takes its decoder with it."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(request: Request) -> None:
    """Limit this process; a system that has no such limits does without."""
    with suppress(ImportError):
        import resource  # noqa: PLC0415  (not on Windows)

        for kind, most in (
            (resource.RLIMIT_AS, request.memory),
            (resource.RLIMIT_CPU, request.seconds),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))
