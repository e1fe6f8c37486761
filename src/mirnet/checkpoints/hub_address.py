"""Addresses of weights on a hub, as huggingface_hub reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mirnet.errors import CheckpointError, MissingDependencyError

if TYPE_CHECKING:
    from huggingface_hub import HfUri

SCHEME = re.compile(r"hf:/{1,2}")
"""How an address begins; a Path makes one slash of two."""
SHAPES = "hf://owner/name, hf://owner/name@revision or hf://owner/name/file.safetensors"
"""What addresses look like."""
SUFFIX = ".safetensors"
"""Of the only files that are taken: a pickle could run code."""


@dataclass(frozen=True, slots=True)
class HubAddress:
    """An address as it was given, and what the client reads in it."""

    text: str
    uri: HfUri

    def file(self, name: str) -> str:
        """The address of a file of the same model."""
        revision = f"@{self.uri.revision}" if self.uri.revision else ""
        return f"hf://{self.uri.id}{revision}/{name}"

    def choose(self, files: Iterable[str]) -> str:
        """The weights file that is meant, among all files. CheckpointError if that is not one."""
        weights = sorted(file for file in files if file.endswith(SUFFIX))
        if named := self.uri.path_in_repo:
            if named in weights:
                return named
            raise CheckpointError(f"{self.text}: there is no such file; {_listed(weights)}")
        if len(weights) != 1:
            instead = f"; name one, such as {self.file(weights[0])}" if weights else ""
            raise CheckpointError(f"{self.text}: {_listed(weights)}{instead}")
        return weights[0]


def is_address(name: str | Path) -> bool:
    """Whether it means weights on a hub."""
    return SCHEME.match(_text(name)) is not None


def parse_address(address: str | Path) -> HubAddress:
    """What an address says of a model's weights on a hub.

    Raises:
        CheckpointError: it is no such address.
        MissingDependencyError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import parse_hf_uri  # noqa: PLC0415
        from huggingface_hub.errors import HfUriError  # noqa: PLC0415
    except ImportError as error:
        raise MissingDependencyError(
            f"{address}: weights on a hub need huggingface_hub from 2.0 on; "
            'pip install "mirnet[hub]"'
        ) from error
    if not endpoint():
        raise CheckpointError(f"{address}: HF_ENDPOINT is empty; unset it, or name a hub there")
    text = SCHEME.sub("hf://", _text(address), count=1)
    try:
        uri = parse_hf_uri(text)
    except HfUriError:
        uri = None
    if uri is None or uri.type != "model" or not is_address(text) or not text.isprintable():
        # It may hold a password.
        shown = "hf://…" if re.search(r"[:@]", text.removeprefix("hf://").split("/")[0]) else text
        line = " ".join(shown.split())
        raise CheckpointError(f"{line}: is no address of a model on a hub; one is {SHAPES}")
    if uri.path_in_repo and not uri.path_in_repo.endswith(SUFFIX):
        raise CheckpointError(
            f"{text}: only {SUFFIX} files are taken from a hub or put there; convert others with "
            "`mirnet convert`"
        )
    return HubAddress(text, uri)


def endpoint() -> str:
    """The hub itself: huggingface.co, unless the environment names another."""
    from huggingface_hub import constants  # noqa: PLC0415

    return constants.ENDPOINT


def _text(name: str | Path) -> str:
    return name.as_posix() if isinstance(name, Path) else name


def _listed(weights: list[str]) -> str:
    if not weights:
        return f"it holds no {SUFFIX} file"
    return f"it holds {', '.join(weights)}"
