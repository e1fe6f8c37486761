"""Weights on a hub: fetched to its client's cache, and checked by the SHA-256 that it records.

The client is huggingface_hub, so its variables of the environment hold here: ``HF_ENDPOINT`` is
another hub's address, ``HF_HUB_OFFLINE=1`` forbids the network, ``HF_HUB_CACHE`` is where files go.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mirnet.checkpoints.hub_address import SUFFIX, HubAddress, endpoint, parse_address
from mirnet.environment import file_sha256
from mirnet.errors import CheckpointError, one_line

logger = logging.getLogger("mirnet")

TIMEOUT_S = 10.0
"""Until a hub that does not answer is taken for one that can't be reached."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A weights file of a hub, as it lies in the cache, after a look at its hash."""

    path: Path
    sha256: str


def fetch(address: str | Path, *, mend: bool = False) -> HubFile:
    """The weights file of an address; what is in the cache is not fetched again.

    Without a network it is the file that the revision was when it was fetched last. The cache
    knows only what was fetched: of a model whose file is not named, a warning of the logger
    ``mirnet`` then says which it is.

    Args:
        address: ``hf://owner/name``, ``hf://owner/name@revision``, each with ``/file.safetensors``
            if there are several.
        mend: fetch a file again that is damaged in the cache.

    Raises:
        CheckpointError: there is no such file, it can't be had, or it is not what the hub records.
        MissingDependencyError: huggingface_hub is not installed.
    """
    meant = parse_address(address)
    with _in_one_line(meant):
        try:
            name, expected = _on_hub(meant)
        except Exception as error:
            if not _is_out_of_reach(error):
                raise
            path, expected = _in_cache(meant, error)
        else:
            path = _downloaded(meant, name)
            if mend and file_sha256(path) != expected:
                path = _downloaded(meant, name, anew=True)
    found = file_sha256(path)
    if found != expected:
        raise CheckpointError(
            f"{meant.text}: {path} has SHA-256 {found}, and the hub recorded {expected}; "
            "`mirnet weights pull` fetches it anew"
        )
    return HubFile(path, found)


def push(path: Path, address: str, card: str, *, private: bool = False) -> str:
    """Put a weights file and its model card on a hub, in one commit; the model is made if need be.

    Args:
        path: the file; it keeps its name unless the address names another.
        address: as for ``fetch``.
        card: the model card, with its metadata; it takes the place of the one that is there.
        private: whether a model that is made is for its owner alone.

    Returns:
        The address of the commit.

    Raises:
        CheckpointError: the hub can't be reached, or refuses it.
        MissingDependencyError: huggingface_hub is not installed.
    """
    meant = parse_address(address)
    import huggingface_hub as client  # noqa: PLC0415
    from huggingface_hub.errors import RepositoryNotFoundError  # noqa: PLC0415

    hub, name = client.HfApi(), meant.uri.path_in_repo or path.name
    with _in_one_line(meant):
        try:
            hub.model_info(meant.uri.id, timeout=TIMEOUT_S)
        except RepositoryNotFoundError:
            hub.create_repo(meant.uri.id, private=private or None)
        try:
            commit = hub.create_commit(
                meant.uri.id,
                [
                    client.CommitOperationAdd(name, path),
                    client.CommitOperationAdd("README.md", card.encode()),
                ],
                commit_message=f"Add {name}",
                revision=meant.uri.revision,
            )
        except (ValueError, RuntimeError) as error:  # of a card, and of a file
            raise CheckpointError(
                f"{meant.text}: can't be pushed ({one_line(error.__cause__ or error)})"
            ) from error
    return commit.commit_url


def recorded(path: Path) -> str | None:
    """The SHA-256 that a file in the cache is filed under; None for other files.

    Where a system has no links, the cache has no such record.
    """
    with suppress(OSError):
        name = path.readlink().name
        return name if re.fullmatch(r"[0-9a-f]{64}", name) else None
    return None


def _on_hub(meant: HubAddress) -> tuple[str, str]:
    """The name of the file that is meant, and its SHA-256, as the hub says now."""
    import huggingface_hub as client  # noqa: PLC0415

    info = client.HfApi().model_info(
        meant.uri.id, revision=meant.uri.revision, files_metadata=True, timeout=TIMEOUT_S
    )
    files = {file.rfilename: file.lfs for file in info.siblings or ()}
    name = meant.choose(files)
    kept = files[name]
    if kept is None:
        raise CheckpointError(
            f"{meant.file(name)}: the hub records no SHA-256 of it; ask its owner to keep "
            f"{SUFFIX} files in LFS"
        )
    return name, kept.sha256


def _downloaded(meant: HubAddress, name: str, *, anew: bool = False) -> Path:
    """A file of the hub in the cache, which has it already unless it must be anew."""
    import huggingface_hub as client  # noqa: PLC0415

    return Path(
        client.hf_hub_download(meant.uri.id, name, revision=meant.uri.revision, force_download=anew)
    )


def _in_cache(meant: HubAddress, error: Exception) -> tuple[Path, str]:
    """The file that was fetched before, and the SHA-256 that it is filed under."""
    import huggingface_hub as client  # noqa: PLC0415

    revision, files = meant.uri.revision, dict[str, Path]()
    with suppress(client.errors.LocalEntryNotFoundError):
        place = client.snapshot_download(meant.uri.id, revision=revision, local_files_only=True)
        folder = Path(str(place))
        files = {each.relative_to(folder).as_posix(): each for each in folder.rglob(f"*{SUFFIX}")}
    if not files or (meant.uri.path_in_repo or next(iter(files))) not in files:
        raise CheckpointError(
            f"{meant.text}: is not in the cache, and {endpoint()} can't be reached "
            f"({_reason(error)}); `mirnet weights pull` it where there is a network"
        ) from error
    name = meant.choose(files)
    path = files[name]
    if (sha256 := recorded(path)) is None:
        raise CheckpointError(
            f"{meant.text}: {path} can't be checked, since no SHA-256 is recorded with it and "
            f"{endpoint()} can't be reached ({_reason(error)}); go online, or name a file"
        ) from error
    if not meant.uri.path_in_repo:
        logger.warning(
            "%s: takes %s, the only file of it in the cache; the hub, which can't be reached, may "
            "have others: name it to be sure, %s",
            meant.text,
            name,
            meant.file(name),
        )
    return path, sha256


@contextmanager
def _in_one_line(meant: HubAddress) -> Iterator[None]:
    """Raise CheckpointError for what the client raises."""
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        yield
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{meant.text}: its owner gives it to who asks; ask on {endpoint()}/{meant.uri.id}, "
            "then log in with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{meant.text}: there is no such revision") from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"{meant.text}: {endpoint()} has no such model, or not for you; check the name, or log "
            "in with `hf auth login`"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        remedy = "log in with `hf auth login`, as somebody who may" if status in (401, 403) else ""
        raise CheckpointError(
            f"{meant.text}: {endpoint()} answers {status}; {remedy or 'try again later'}"
        ) from error
    except Exception as error:
        if isinstance(error, CheckpointError) or (isinstance(error, OSError) and error.errno):
            raise  # a full disk, say, which names its file
        if isinstance(error, LookupError | ValueError | TypeError | AttributeError):
            raise CheckpointError(
                f"{meant.text}: {endpoint()} does not answer as a hub does; check HF_ENDPOINT"
            ) from error
        raise CheckpointError(
            f"{meant.text}: {endpoint()} can't be used ({_reason(error)}); try again later"
        ) from error


def _is_out_of_reach(error: Exception) -> bool:
    """Whether it says that there is no network, or that the hub is down."""
    from huggingface_hub import errors  # noqa: PLC0415

    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code >= 500
    transport: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]  # of its library
    return isinstance(error, errors.OfflineModeIsEnabled | transport)


def _reason(error: Exception) -> str:
    from huggingface_hub.errors import OfflineModeIsEnabled  # noqa: PLC0415

    return "HF_HUB_OFFLINE is set" if isinstance(error, OfflineModeIsEnabled) else one_line(error)
