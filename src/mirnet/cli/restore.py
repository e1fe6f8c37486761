"""``mirnet restore``: photos in, restored photos out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mirnet.cli.restoring import Options, Restoring, summary
from mirnet.errors import MirnetError


def restore(
    *paths: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("restored"),
    options: Options = Options(),  # noqa: B008  (frozen)
) -> int:
    """Restore photos: PNG, JPEG, TIFF, WebP, AVIF and HEIC, 8 or 16 bit, metadata kept.

    Dual-pixel photos are two files, named IMG_L.png and IMG_R.png or alike in folders left/ and
    right/, or one TIFF whose two pages are the left and the right view.

    Inputs are never changed. What is already done is skipped, so that a batch that was stopped
    goes on where it was. A photo that fails doesn't stop the others; failures are listed at the
    end and make the exit status 1.

    Parameters
    ----------
    paths
        Photos, folders (searched with all below them) or patterns such as "shots/*.jpg".
    output
        The folder for the results; it mirrors the tree of a folder that was given.
    """
    from mirnet.inference.batch import Outcome, run
    from mirnet.inference.planning import plan

    if not paths:
        raise MirnetError("restore: name at least one photo or folder; see `mirnet restore --help`")
    restoring = Restoring(options)
    planned = plan(
        paths, output, suffix=restoring.suffix, depth=options.depth, views=restoring.views
    )
    outcome = Outcome()
    try:
        with restoring.bar as bar:
            run(
                planned,
                restoring.load,
                output=output,
                way=restoring.way,
                overwrite=options.overwrite,
                progress=bar.show,
                outcome=outcome,
            )
    except BaseException as error:
        if not isinstance(error, Exception):  # a signal: what was done so far is not told again
            print(summary(outcome, planned), file=sys.stderr)
        raise
    print(summary(outcome, planned), file=sys.stderr)
    return 1 if outcome.failures else 0
