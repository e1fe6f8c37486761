"""``mirnet weights``: which weights there are; to and from a hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

weights = App(name="weights")


@weights.default
def listed() -> None:
    """List the weights that ship with mirnet; pull, push and verify those of a hub.

    The list has the path of each and of its model card. A hub is huggingface.co, or the one that
    HF_ENDPOINT names.
    """
    from mirnet.checkpoints.catalog import CATALOG, DEFAULTS, verified

    for entry in CATALOG.values():
        default = ", its default" if DEFAULTS.get(entry.task) == entry.name else ""
        print(f"{entry.name}  (task {entry.task}{default})")
        print(f"  {entry.summary}")
        print(f"  file     {verified(entry)}")
        print(f"  sha256   {entry.sha256}")
        print(f"  card     {entry.card}")


@weights.command
def pull(address: str, /) -> None:
    """Fetch weights from a hub to the cache, and print where they lie and their SHA-256.

    What is there already is not fetched again unless it is damaged. `--weights hf://…` of other
    commands does the same.

    Parameters
    ----------
    address
        hf://owner/name, hf://owner/name@revision, or either with /file.safetensors behind it.
    """
    from mirnet.checkpoints.hub import fetch

    found = fetch(address, mend=True)
    print(found.path)
    print(f"sha256 {found.sha256}")


@weights.command
def push(
    file: str,
    address: str,
    /,
    *,
    licence: str | None = None,
    scores: Annotated[tuple[Path, ...], Parameter(negative=())] = (),
    card: Path | None = None,
    private: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Put weights and their model card on a hub.

    Log in first with `hf auth login`, or set HF_TOKEN.

    Parameters
    ----------
    file
        A .safetensors file of mirnet, or a name that `mirnet weights` lists.
    address
        hf://owner/name, which is made if it is not there, with @branch or /file.safetensors if you
        like.
    licence
        Under which the weights may be used, as the hub names it: apache-2.0, cc-by-nc-4.0, other …;
        that of mirnet's own is known.
    scores
        A score.json of `mirnet evaluate` for these weights, to stand on the card; give it again for
        more.
    card
        A text in Markdown for the card; NAME.md beside the file, or what is known, unless told.
    private
        Let a model that is made be seen by its owner alone.
    """
    from mirnet.checkpoints import hub
    from mirnet.checkpoints.catalog import CATALOG, PACKAGED, resolve
    from mirnet.checkpoints.hub_address import SUFFIX, parse_address
    from mirnet.checkpoints.store import read_checkpoint
    from mirnet.environment import file_sha256
    from mirnet.errors import MirnetError
    from mirnet.evaluation.model_card import model_card
    from mirnet.evaluation.scores import read_scores

    parse_address(address)  # before any work
    path = resolve(file)
    is_ours = path.parent == PACKAGED and path.stem in CATALOG
    if path.suffix != SUFFIX:
        raise MirnetError(f"{path}: is no {SUFFIX} file; `mirnet convert` makes one of it")
    if licence is None and not is_ours:
        raise MirnetError("--licence: say under which these weights may be used, as apache-2.0")
    beside = path.with_suffix(".md")
    text = card or (beside if beside.is_file() else None)
    made = model_card(
        path.stem,
        read_checkpoint(path),
        file_sha256(path),
        address=address,
        licence=licence or "apache-2.0",
        scores=[read_scores(each) for each in scores],
        text=text.read_text("utf-8") if text else None,
    )
    print(hub.push(path, address, made, private=private))


@weights.command
def verify(*names: str, sha256: str | None = None) -> int:
    """Check weights by their SHA-256; the exit status is 1 if one is not what was recorded.

    Those that ship are recorded in mirnet, those of a hub by the hub, or in the cache without a
    network.

    Parameters
    ----------
    names
        Names that `mirnet weights` lists, weights files, or hf:// addresses; all that ship, unless
        told.
    sha256
        What the one file that is named is to have, as its publisher says.
    """
    import sys

    from mirnet.checkpoints.catalog import CATALOG
    from mirnet.errors import CheckpointError, MirnetError

    if sha256 is not None and len(names) != 1:
        raise MirnetError("--sha256: is of one file; name that one")
    is_whole = True
    for name in names or tuple(CATALOG):
        try:
            print(f"{name}: {_verified(name, sha256)}")
        except CheckpointError as error:
            print(f"mirnet: {error}", file=sys.stderr)
            is_whole = False
    return 0 if is_whole else 1


def _verified(name: str, sha256: str | None) -> str:
    """What a file is, by its hash. CheckpointError if it is not what was recorded."""
    from mirnet.checkpoints import hub
    from mirnet.checkpoints.catalog import CATALOG, resolve
    from mirnet.checkpoints.hub_address import is_address
    from mirnet.checkpoints.store import require_readable
    from mirnet.environment import file_sha256
    from mirnet.errors import CheckpointError

    is_on_hub = is_address(name)
    path = resolve(name)
    require_readable(path)
    found = file_sha256(path)
    ours = {entry.sha256: entry.name for entry in CATALOG.values()}
    namesake = CATALOG[path.stem].sha256 if path.stem in CATALOG and not is_on_hub else None
    recorded = sha256 or hub.recorded(path) or namesake
    if recorded is not None and found != recorded.lower():
        raise CheckpointError(f"{path}: has SHA-256 {found}, and {recorded} is recorded")
    if recorded is None and found not in ours and not is_on_hub:  # whose is looked at as it comes
        raise CheckpointError(
            f"{path}: has SHA-256 {found}, and none is recorded to hold it against; give the one "
            "that its publisher says with --sha256"
        )
    return f"whole, SHA-256 {found}" + (f" ({ours[found]})" if found in ours else "")
