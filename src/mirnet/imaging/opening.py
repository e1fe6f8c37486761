"""Open photo files, and see what they hold."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mirnet.errors import MissingDependencyError, PhotoError
from mirnet.imaging import formats
from mirnet.imaging.buffer import Buffer, FileView
from mirnet.imaging.containers import cicp
from mirnet.imaging.containers.contents import ONE_PICTURE, Contents, UnusableError
from mirnet.imaging.formats import Format, Original, Readable


@dataclass(slots=True)
class Opened:
    """An open photo file, and what it holds."""

    path: Path
    kind: Format | Original
    data: Buffer
    contents: Contents


@contextmanager
def opened(path: Path, view: int | None = None) -> Iterator[Opened]:
    """Open a photo file and see what it holds; PhotoError if it is none that can be used.

    ``view`` is which of two pictures in the file, 0 or 1; without, it must hold one.
    """
    try:
        # A pipe or device would block the open, or never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoError(f"{path}: is a folder or device; name a photo file")
        file = path.open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(f"{path}: can't be read ({reason}); check the name") from error
    with file:
        data = FileView(file)
        if not len(data):
            raise PhotoError(f"{path}: is empty; get a fresh copy")
        try:
            kind = formats.by_content(data)
            if isinstance(kind, str):
                raise PhotoError(f"{path}: is {kind}; convert it to PNG or TIFF first")
            if isinstance(kind, Original):
                _require_installed(kind, path)
            contents = _contents(kind, data, view)
            cicp.require_known_profile(contents.metadata.icc)
            yield Opened(path, kind, data, contents)
        except UnusableError as error:
            raise PhotoError(f"{path}: {error}") from error
        except OSError as error:
            raise PhotoError(f"{path}: can't be read ({error.strerror}); check the disk") from error


def _contents(kind: Readable, data: Buffer, view: int | None) -> Contents:
    if view is None:
        return kind.inspect(data)
    if kind.inspect_view is None:
        raise UnusableError(ONE_PICTURE)
    return kind.inspect_view(data, view)


def _require_installed(kind: Original, path: Path) -> None:
    if find_spec(kind.package) is None:
        raise missing(kind, path)


def missing(kind: Original, path: Path) -> MissingDependencyError:
    """That what reads such a photo is not installed."""
    return MissingDependencyError(
        f'{path}: is {kind.name}, which needs another package; pip install "mirnet[{kind.extra}]"'
    )
