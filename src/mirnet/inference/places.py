"""Where photos and results lie: at paths of this machine, and at addresses in stores.

An address holds no credentials: with a password it is refused, and what HTTP has after a question
mark is left out of whatever is shown or noted.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from mirnet.errors import PhotoError
from mirnet.imaging.io import SUFFIXES

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
THIS_MACHINE = frozenset(("file", "local"))
"""Protocols whose addresses are paths."""
SAME_AS = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az", "ssh": "sftp"}
"""Protocols that speak to the stores of others."""
PORTS = {"ftp": 21, "sftp": 22, "http": 80, "https": 443}
"""Those that need not be named."""
CONTAINED = frozenset(("abfs", "abfss"))
"""Protocols whose hosts begin with the name of a container."""
QUERIED = frozenset(("http", "https"))
"""Protocols whose addresses may end in a question mark and more, which may be a secret."""


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Address:
    """Where a file or a folder lies in a store; it prints without what may be a secret.

    Attributes:
        text: the address in full, without a slash at its end.
        version: what tells it from what it was, if the store said so when it was listed.
    """

    text: str
    version: str | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        """As it may be shown, too."""
        return f"Address({str(self)!r})"

    def __str__(self) -> str:
        """As it may be shown."""
        return self.text.partition("?")[0] if self.protocol in QUERIED else self.text

    @property
    def protocol(self) -> str:
        """How its store is spoken to, as ``s3``."""
        return self.text.partition("://")[0]

    @property
    def store(self) -> str:
        """The address of the store, or of a part of it that has a name of its own."""
        return "://".join(self.parts[:2])

    @property
    def parts(self) -> tuple[str, ...]:
        """The protocol, and what stands between slashes."""
        protocol, _, rest = str(self).partition("://")
        return (protocol, *rest.split("/"))

    @property
    def name(self) -> str:
        """The last part."""
        return self.parts[-1]

    @property
    def suffix(self) -> str:
        """Of the name, with its dot."""
        return PurePath(self.name).suffix

    @property
    def parent(self) -> Address:
        """The folder that it lies in."""
        return Address(str(self).rpartition("/")[0])

    def __truediv__(self, below: PurePath | str) -> Address:
        """The address of what lies below it."""
        return Address(f"{self}/{PurePath(below).as_posix()}")

    def relative_to(self, folder: Address) -> str:
        """Its place below a folder."""
        return str(self).removeprefix(f"{folder}/")


Location = Path | Address
"""Of a file or a folder."""


def is_address(text: str) -> bool:
    """Whether it means something in a store; a Path makes one slash of two."""
    return ADDRESS.match(text) is not None or re.match(r"[A-Za-z][\w+.-]+:/", text) is not None


def placed(text: str) -> Location:
    """The place that a text means.

    Raises PhotoError for an address that holds a password or can't be followed.
    """
    match = ADDRESS.fullmatch(text)
    if match is None:
        if "://" in text or is_address(text):  # it may hold a password
            raise PhotoError("…://…: is no address of a store, such as s3://bucket/folder")
        return Path(text)
    protocol, path, query = match[1].lower(), match[2], ""
    if protocol in QUERIED:
        path, question, query = path.partition("?")
        query = question + query
    _require_path(protocol, path)
    _require_host(protocol, re.split("[/?#]", path)[0])
    return Address(f"{protocol}://{path.rstrip('/')}{query}")


def _require_path(protocol: str, path: str) -> None:
    if protocol in THIS_MACHINE and not path.startswith("/"):
        raise PhotoError(f"{protocol}://…: names a machine; this one's files are {protocol}:///…")
    if protocol == "memory" or re.search(r"::[a-z][a-z0-9+.-]*://", path, re.IGNORECASE):
        raise PhotoError(f"{protocol}://…: can't be reached from other processes; name a store")
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise PhotoError(f"{protocol}://…: has . or .. in it; give the address without")


def _require_host(protocol: str, host: str) -> None:
    if protocol in CONTAINED and ":" not in host:
        host = host.rpartition("@")[2]
    after = host.rpartition("]")[2]  # of the brackets of an IPv6 address
    if "@" in host or (re.search(r":(?!\d*$)", after) and not host.startswith("arn:")):
        raise PhotoError(
            f"{protocol}://…: an address must hold no name and no password; give them to the "
            "store's client, in its environment or its configuration (docs/cluster.md)"
        )
    if "[" in host and protocol not in QUERIED:
        raise PhotoError(f"{protocol}://…: has an address of IPv6 for a host; give its name")


def on_disk(place: Location) -> Path:
    """The path of what lies on this machine. Raises PhotoError for what lies in a store."""
    if isinstance(place, Address):
        raise PhotoError(
            f"{place}: lies in a store, which workers of Ray alone read and write; add --engine "
            "ray, or copy it to a folder"
        )
    return place


def is_folder(path: Location) -> bool:
    """Whether it is a folder; what can't be asked is none, and fails when it is read.

    In a store, what has not the name of a photo is one.
    """
    if isinstance(path, Address):
        return path.suffix.lower() not in SUFFIXES
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_within(path: Location, folder: Location) -> bool:
    """Whether it is the folder, or lies in it, links followed."""
    real, around = identity(path), identity(folder)
    return real == around or real.startswith(around.rstrip(os.sep) + os.sep)


def identity(place: Location) -> str:
    """What tells it from all others, however it is written."""
    if not isinstance(place, Address):
        return os.path.realpath(place)
    protocol, _, rest = place.text.partition("://")
    if protocol in THIS_MACHINE:
        return os.path.realpath("/" + rest.lstrip("/"))
    protocol = SAME_AS.get(protocol, protocol)
    host, slash, below = rest.partition("/")
    return f"{protocol}://{host.removesuffix(f':{PORTS.get(protocol)}')}{slash}{below}"


def is_special(path: Path) -> bool:
    """Whether it is a pipe, a socket or a device, from which a read may never return."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def absolute(path: str | Path) -> Path:
    """The whole path without ``..``, by its letters alone."""
    return Path(os.path.normpath(Path(path).absolute()))
