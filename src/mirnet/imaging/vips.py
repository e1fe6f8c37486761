"""libvips, guarded: all that is decoded and encoded here goes through `guarded`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pyvips

from mirnet.errors import PhotoError


class VipsError(Exception):
    """libvips failed; the message is what it said, shortened to one line."""


class _Process:
    """Whether libvips can be used in this process."""

    used = False
    forked = False


@contextmanager
def guarded() -> Iterator[None]:
    """Calls of libvips: its errors become VipsError, and none is left behind for the next call.

    Raises PhotoError in a process that was forked after libvips had been used: its threads are
    not there, and it would wait for them for ever.
    """
    if _Process.forked:
        raise PhotoError(
            "photos can't be read or written in a process that was forked after its parent did so; "
            'start workers with multiprocessing\'s "spawn" or "forkserver"'
        )
    _Process.used = True
    try:
        yield
    except pyvips.Error as error:
        raise VipsError(_shortened(error.detail or error.message)) from error
    except UnicodeDecodeError as error:
        # pyvips takes the text of an error for UTF-8, and it may quote the file.
        text = pyvips.ffi.string(pyvips.vips_lib.vips_error_buffer())
        raise VipsError(_shortened(text.decode("ascii", "replace"))) from error
    finally:
        pyvips.vips_lib.vips_error_clear()


def _shortened(text: str, most: int = 200) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    # The last line says it, but for a mere number that may follow.
    told = [line for line in lines if not line.startswith("(")]
    line = told[-1] if told else "no reason given"
    return "".join(letter for letter in line if letter.isprintable())[:most]


def _after_fork() -> None:
    _Process.forked = _Process.used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
