"""``mirnet watch``: photos that arrive in a folder, restored into another."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mirnet.cli.restoring import Options, Restoring, summary
from mirnet.errors import MirnetError

LONGEST_S = 3600.0


def watch(
    folder: Path,
    output: Path,
    /,
    *,
    settle: float = 2.0,
    once: Annotated[bool, Parameter(negative=())] = False,
    options: Options = Options(),  # noqa: B008  (frozen)
) -> int:
    """Restore the photos in a folder, and those that arrive there, into another folder.

    A file is taken when it has not changed for a while, once. One that is cut is named, and tried
    again when it changes; a photo that is replaced is restored again. Hidden files and those of
    other kinds, such as .part and .tmp, are passed by. Ctrl-C ends it; what is done is not done
    again by the next start.

    Parameters
    ----------
    folder
        Is watched with all below it. If it goes, it is waited for.
    output
        The folder for the results, which one watcher has to itself; it mirrors the tree.
    settle
        Seconds that a file must be unchanged before it counts as whole, from 0.1 to 3600.
    once
        End when all that is there is done; the exit status is then 1 if a photo failed.
    """
    from mirnet.inference.batch import Outcome
    from mirnet.inference.places import is_address
    from mirnet.inference.watching import watch as restore_arrivals

    if not 0.1 <= settle <= LONGEST_S:
        raise MirnetError(f"--settle: must be from 0.1 to {LONGEST_S:g} seconds, got {settle:g}")
    for place in (folder, output):
        if is_address(str(place)):
            protocol = str(place).partition(":")[0]  # what follows may hold a password
            raise MirnetError(f"{protocol}:…: folders of this machine are watched; mount the store")
    restoring, counts = Restoring(options), Counter[str]()

    def tell(outcome: Outcome) -> None:
        counts.update(restored=outcome.restored, failed=len(outcome.failures))
        bar.rest()
        if outcome != Outcome():
            bar.say(summary(outcome))

    try:
        with restoring.bar as bar:
            restore_arrivals(
                folder,
                output,
                restoring.load,
                way=restoring.way,
                suffix=restoring.suffix,
                depth=options.depth,
                views=restoring.views,
                overwrite=options.overwrite,
                settle_s=settle,
                once=once,
                progress=bar.show,
                told=tell,
                says=bar.say,
            )
    except BaseException as error:
        if not isinstance(error, Exception):  # a signal, which is how it ends
            print(_in_all(counts), file=sys.stderr)
        raise
    print(_in_all(counts), file=sys.stderr)
    return 1 if counts["failed"] else 0


def _in_all(counts: Counter[str]) -> str:
    return f"in all {counts['restored']} restored, {counts['failed']} failed"
