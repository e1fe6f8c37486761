"""``mirnet weights``: which weights there are."""

from __future__ import annotations


def weights() -> None:
    """List the weights that ship with mirnet, with the path of each and of its model card."""
    from mirnet.checkpoints.catalog import CATALOG, DEFAULTS, verified

    for entry in CATALOG.values():
        default = ", its default" if DEFAULTS.get(entry.task) == entry.name else ""
        print(f"{entry.name}  (task {entry.task}{default})")
        print(f"  {entry.summary}")
        print(f"  file     {verified(entry)}")
        print(f"  sha256   {entry.sha256}")
        print(f"  card     {entry.card}")
