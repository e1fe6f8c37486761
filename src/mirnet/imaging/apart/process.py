"""Start a decoder's process, and take its answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from threading import Thread, Timer
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mirnet.errors import one_line
from mirnet.imaging.apart.worker import Picture, Request

AnyArray = NDArray[Any]

LONGEST_LINE = 4096
MOST_PIXELS = 1 << 30
# Enough for slow and busy machines: a phone's photo takes less than a second.
SECONDS, SECONDS_PER_PIXEL = 30, 5e-6
# Of address space: threads and arenas reserve more than they use.
MEMORY, BYTES_PER_PIXEL, BYTES_PER_BYTE = 2 << 30, 96, 4
ENVIRONMENT = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
PASSED_ON = frozenset((
    *ENVIRONMENT, "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH",
    "SYSTEMROOT", "WINDIR", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL", "PYTHONHOME", "PYTHONUTF8",
))  # fmt: skip
"""What a decoder is given of the environment, which may hold secrets."""
MOST = (MOST_PIXELS, MOST_PIXELS, 4, 16)
"""The largest height, width, channels and bits that a decoder may answer with."""
MOST_NOTES = 4
FRESH_COPY = "get a fresh copy"
OTHER_FORMAT = "get a fresh copy, or convert it to TIFF first"


class DecoderError(Exception):
    """A decoder gave no picture; the message is the reason, on one line.

    Attributes:
        remedy: what to do.
    """

    def __init__(self, reason: str, remedy: str = FRESH_COPY) -> None:
        """Say why, and what to do."""
        super().__init__(reason)
        self.remedy = remedy


class MissingDecoderError(Exception):
    """The decoder can't be loaded."""


def ask(module: str, content: bytes, *, pixels: int | None) -> tuple[Picture, AnyArray]:
    """What a decoder says of a file, and its values.

    Args:
        module: the decoder, a module of this package.
        content: the file.
        pixels: how many it has, when all are wanted; None: size and kind will do. Time and memory
            are those of 2³⁰ at most.

    Returns:
        The picture without its data; and ``(H, W, C)``, uint8 or uint16, empty unless wanted.

    Raises:
        DecoderError: it can't decode the file, it crashed, or it took too long or too much.
        MissingDecoderError: it is not installed.
    """
    count = min(pixels or 0, MOST_PIXELS)
    request = Request(
        memory=int(MEMORY + BYTES_PER_PIXEL * count + BYTES_PER_BYTE * len(content)),
        seconds=int(SECONDS + SECONDS_PER_PIXEL * count),
        pixels=pixels is not None,
    )
    late = list[bool]()
    with _started(module, request) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def stop() -> None:
            late.append(True)
            process.kill()

        timer = Timer(request.seconds, stop)
        feeder = Thread(target=_feed, args=(process.stdin, content), daemon=True)
        timer.start()
        feeder.start()
        try:
            answer = _answer(process.stdout, most=pixels)
        finally:
            timer.cancel()
            process.kill()
            feeder.join()
    if answer is not None:
        return answer
    if late:
        raise DecoderError(
            f"its decoder was stopped after {request.seconds} s",
            "try again when the machine is idle, or convert it to TIFF first",
        )
    raise DecoderError("its decoder crashed, or was stopped at its limits", OTHER_FORMAT)


def _started(module: str, request: Request) -> subprocess.Popen[bytes]:
    here = [place or os.curdir for place in sys.path]
    passed_on = {name: value for name, value in os.environ.items() if name.upper() in PASSED_ON}
    threads = passed_on.get("OMP_NUM_THREADS", "")
    if threads.isdecimal() and int(threads) > int(ENVIRONMENT["OMP_NUM_THREADS"]):
        del passed_on["OMP_NUM_THREADS"]  # each takes memory of its own, under the child's limit
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", f"{__package__}.{module}", json.dumps(request._asdict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**ENVIRONMENT, **passed_on, "PYTHONPATH": os.pathsep.join(here)},
        )
    except OSError as error:
        raise DecoderError(
            f"its decoder can't be started: {error.strerror}",
            "check the limits on memory and processes, and try again",
        ) from error


def _feed(pipe: IO[bytes], content: bytes) -> None:
    """Hand the file over; a decoder that has ended takes no more of it."""
    with suppress(OSError), pipe:
        pipe.write(content)


def _answer(pipe: IO[bytes], *, most: int | None) -> tuple[Picture, AnyArray] | None:
    """The decoder's answer; None if it ended without a whole one."""
    picture = _said(pipe.readline(LONGEST_LINE))
    if picture is None or most is None:
        return picture and (picture, np.empty(0, np.uint8))
    if picture.height * picture.width > most:
        raise DecoderError("its pixels are more than its header says", OTHER_FORMAT)
    shape = picture.height, picture.width, picture.channels
    values = np.empty(shape, np.uint8 if picture.bits <= 8 else np.dtype("<u2"))
    # The pipe is buffered: it reads on until all is there, or the decoder has ended.
    got = pipe.readinto(values.data.cast("B"))  # type: ignore[attr-defined]
    return (picture, values) if got == values.nbytes else None


def _said(line: bytes) -> Picture | None:
    """What a decoder says of a picture, which nobody vouches for; None if it is no sound answer.

    Raises as `ask`.
    """
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or not line.endswith(b"\n"):
        return None
    if "missing" in said:
        raise MissingDecoderError(_printable(said["missing"]))
    if "fault" in said:
        raise DecoderError(_printable(said["fault"]), _printable(said.get("remedy", OTHER_FORMAT)))
    sizes: list[Any] = [said.get(name) for name in Picture._fields[:4]]
    notes = said.get("notes", [])
    if not isinstance(notes, list) or not all(
        type(value) is int and 1 <= value <= most for value, most in zip(sizes, MOST, strict=True)
    ):
        return None
    height, width, channels, bits = sizes
    if height * width > MOST_PIXELS:
        return None
    return Picture(height, width, channels, bits, tuple(map(_printable, notes[:MOST_NOTES])))


def _printable(text: object) -> str:
    line = one_line(ValueError(text))
    return "".join(letter for letter in line if letter.isprintable())[:200]
