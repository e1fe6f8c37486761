"""DND's submission: its server keeps the targets and scores what is sent to it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mirnet.atomic import replacing, require_folder
from mirnet.data.pair import Pair
from mirnet.environment import file_sha256
from mirnet.errors import DataError, MissingDependencyError, one_line
from mirnet.evaluation.journal import OtherScoresError, locked
from mirnet.evaluation.method import Method, made_by
from mirnet.evaluation.run import stamps
from mirnet.evaluation.scores import Fault
from mirnet.imaging.quantize import to_planes

EVALUATION_VERSION = "1.0"
"""Of the server's protocol."""
MADE_OF = "made_of.json"
"""What each file was made of, stamps of pictures, and its own SHA-256."""
FILES = "submission"
"""The folder of what is sent to the server."""

logger = logging.getLogger("mirnet")


def write_submission(
    method: Method,
    pairs: Sequence[Pair],
    folder: Path,
    *,
    unreadable: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Fault, ...]:
    """Restore DND's boxes and write a file for each photo, as the server takes them.

    A file ``0001.mat`` holds ``Idenoised``, a cell of 1×20 single pictures ``H×W×3`` in [0, 1],
    ``israw`` and ``eval_version``. Files that are there are kept, so that a run that was stopped
    goes on, unless they or what they were made of have changed; beside their folder ``made.json``
    says what made them.

    Args:
        method: what restores.
        pairs: the boxes, as `find_pairs(folder, "dnd", "test")` gives them.
        folder: gets ``submission/`` with the files.
        unreadable: why each box that belongs here too can't be read, by its name.
        progress: is told how many boxes of how many are done.

    Returns:
        Photos whose file could not be made, and why.

    Raises OtherScoresError if the folder holds a submission of another method or by other code, and
    DataError if another run writes it, or if its record of what each file was made of is damaged.
    """
    _require_scipy()
    require_folder(folder / FILES)
    with locked(folder, FILES):
        _require_same(method, folder / "made.json")
        known = _known(folder / MADE_OF)
        incomplete = {_scene(name): why for name, why in (unreadable or {}).items()}
        faults = [_without_file(folder, scene, why) for scene, why in incomplete.items()]
        whole = [pair for pair in pairs if _scene(pair.id) not in incomplete]
        done = 0
        for scene, boxes in groupby(whole, key=lambda pair: _scene(pair.id)):
            members = list(boxes)
            try:
                _require_scene(method, scene, members, folder, known)
            except MissingDependencyError:  # which the next photo would lack too
                raise
            except Exception as error:
                logger.debug("%s", scene, exc_info=True)
                faults.append(_without_file(folder, scene, one_line(error)))
            done += len(members)
            if progress:
                progress(done, len(whole))
        return tuple(faults)


def _require_scene(
    method: Method, scene: str, boxes: Sequence[Pair], folder: Path, known: dict[str, Any]
) -> None:
    """Write the file of a photo, and what it was made of, unless it is there and ``known``."""
    path = _file(folder, scene)
    of = [stamps(box, method) for box in boxes]
    if path.exists() and known.get(scene) == {"of": of, "sha256": file_sha256(path)}:
        return
    _write_scene(path, [_restored(method, box) for box in boxes])
    known[scene] = {"of": of, "sha256": file_sha256(path)}
    with replacing(folder / MADE_OF) as temporary:
        temporary.write_text(json.dumps(known), "utf-8")


def _without_file(folder: Path, scene: str, why: str) -> Fault:
    """A photo that has no file: an earlier one would be sent with the others."""
    _file(folder, scene).unlink(missing_ok=True)
    return Fault(id=scene, why=why)


def _file(folder: Path, scene: str) -> Path:
    return folder / FILES / f"{scene}.mat"


def _require_same(method: Method, path: Path) -> None:
    """Files of two methods, or of two versions, must not be sent as one."""
    made = json.dumps(made_by(method), indent=1)
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(made + "\n", "utf-8")
    elif path.read_text("utf-8").strip() != made:
        raise OtherScoresError(
            f"{path.parent}: holds a submission of another method or by other code or versions; "
            "name another --output, or remove that folder"
        )


def _known(made_of: Path) -> dict[str, Any]:
    """What each file there was made of, by its photo."""
    if not made_of.exists():
        return {}
    try:
        return dict(json.loads(made_of.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise DataError(f"{made_of}: is damaged; remove it, and all is restored again") from error


def _scene(name: str) -> str:
    """The photo of a box."""
    return name.rpartition("-")[0]


def _restored(method: Method, pair: Pair) -> NDArray[np.float32]:
    """One box, as MATLAB lays it out."""
    views = torch.from_numpy(to_planes(pair.views[0].pixels()))[None]
    restored = method.restore(pair, views)[0].float().cpu()
    if not bool(torch.isfinite(restored).all()):
        raise DataError(f"{pair.place}: was restored to values that are not finite")
    return restored.clamp(0, 1).permute(1, 2, 0).contiguous().numpy()


def _require_scipy() -> None:
    if find_spec("scipy") is None:
        raise MissingDependencyError(
            'a submission needs scipy, which is not installed; pip install "mirnet[train]"'
        )


def _write_scene(path: Path, boxes: Iterable[NDArray[np.float32]]) -> None:
    from scipy.io import savemat  # noqa: PLC0415  (an extra)

    every = list(boxes)
    cell: NDArray[Any] = np.empty((1, len(every)), dtype=object)
    for number, box in enumerate(every):
        cell[0, number] = box
    content = {"Idenoised": cell, "israw": np.False_, "eval_version": EVALUATION_VERSION}
    with replacing(path) as temporary:
        savemat(temporary, content, appendmat=False, do_compression=True)
