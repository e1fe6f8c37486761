"""``mirnet restore``: photos in, restored photos out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from cyclopts import Parameter

from mirnet.choices import Device, Engine
from mirnet.cli.restoring import Options, Restoring, summary
from mirnet.errors import MirnetError

if TYPE_CHECKING:
    from mirnet.inference.places import Location


def restore(
    *paths: str,
    output: Annotated[str, Parameter(name=["--output", "-o"])] = "restored",
    options: Options = Options(),  # noqa: B008  (frozen)
    from_file: Path | None = None,
    engine: Engine = "local",
    address: str | None = None,
    cores_per_worker: int | None = None,
) -> int:
    """Restore photos: PNG, JPEG, TIFF, WebP, AVIF, HEIC and RAW, 8 or 16 bit, metadata kept.

    Dual-pixel photos are two files, named IMG_L.png and IMG_R.png or alike in folders left/ and
    right/, or one TIFF whose two pages are the left and the right view.

    Inputs are never changed. What is already done is skipped, so that a batch that was stopped
    goes on where it was. A photo that fails doesn't stop the others; failures are listed at the
    end and make the exit status 1.

    Parameters
    ----------
    paths
        Photos, folders (searched with all below them) or patterns such as "shots/*.jpg". With Ray,
        addresses of photos and folders in stores too, such as s3://bucket/folder.
    output
        The folder for the results; it mirrors the tree of a folder that was given. With Ray, it may
        be an address too.
    from_file
        A text file of paths or addresses, one a line, instead of paths; the tree of the folder that
        all of them lie in is mirrored.
    engine
        What restores: local is this process, ray has workers on all nodes of a Ray cluster, which
        need the photos and the output folder at the same place, or reach their store.
    address
        Of the Ray cluster, as HOST:PORT, or auto for the one that was started on this machine.
        Unless told, a Ray of its own is started here, for this batch.
    cores_per_worker
        With Ray, how many cores a worker computes on: 2, or all of a smaller node, unless told. A
        node with GPUs has a worker for each.
    """
    from mirnet.inference.batch import Outcome, run
    from mirnet.inference.cluster.dispatch import run_on_cluster
    from mirnet.inference.places import on_disk, placed
    from mirnet.inference.planning import plan

    cluster = _cluster(engine, address, cores_per_worker, options.device)
    paths, within = _named(paths, from_file)
    if not paths:
        raise MirnetError("restore: name at least one photo or folder; see `mirnet restore --help`")
    target = placed(output)
    if cluster is None:
        for place in (*map(placed, paths), target):
            on_disk(place)  # or it raises
    restoring = Restoring(options)
    planned = plan(
        paths,
        target,
        suffix=restoring.suffix,
        depth=options.depth,
        views=restoring.views,
        within=within,
    )
    outcome = Outcome()
    try:
        with restoring.bar as bar:
            common: dict[str, Any] = {
                "output": target,
                "way": restoring.way,
                "overwrite": options.overwrite,
                "progress": bar.show,
                "outcome": outcome,
            }
            if cluster is None:
                run(planned, restoring.load, **common)
            else:
                run_on_cluster(planned, restoring.prepared, **cluster, **common)
    except BaseException as error:
        # What was done so far, or came to light, is not told again.
        if not isinstance(error, Exception) or outcome != Outcome():
            print(summary(outcome, planned), file=sys.stderr)
        raise
    print(summary(outcome, planned), file=sys.stderr)
    return 1 if outcome.failures else 0


def _named(paths: tuple[str, ...], listing: Path | None) -> tuple[tuple[str, ...], Location | None]:
    """The paths, also those of a list, and the folder that these lie in."""
    from mirnet.inference.planning import listed

    if listing is None:
        return paths, None
    if paths:
        raise MirnetError("--from-file: names all photos; leave the other paths out")
    return listed(listing)


class _Cluster(TypedDict):
    address: str | None
    cores_per_worker: int
    on_gpus: bool


def _cluster(
    engine: Engine, address: str | None, cores_per_worker: int | None, device: Device
) -> _Cluster | None:
    """What a cluster is asked for; None if there is none."""
    from mirnet.inference.cluster.dispatch import CORES

    if engine == "local":
        if (address, cores_per_worker) != (None, None):
            raise MirnetError("--address, --cores-per-worker: are of a cluster; add --engine ray")
        return None
    if cores_per_worker is not None and cores_per_worker < 1:
        raise MirnetError(f"--cores-per-worker: must be above 0, got {cores_per_worker}")
    return _Cluster(
        address=address, cores_per_worker=cores_per_worker or CORES, on_gpus=device != "cpu"
    )
