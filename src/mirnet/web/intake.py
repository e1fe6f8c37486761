"""From a request to a job: its options and files are checked, and the files stored.

What a client calls a file is for its eyes alone: here all have names of our own.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from starlette.datastructures import FormData, UploadFile

from mirnet.checkpoints.catalog import CATALOG, resolve
from mirnet.errors import MirnetError, in_names
from mirnet.imaging.io import check_writable, read_header, suffixes_of, written_suffix
from mirnet.imaging.photo import PhotoHeader
from mirnet.inference.views import unmarked
from mirnet.tasks.registry import TASKS
from mirnet.tasks.weights import checkpoint_for_photos, weights_for
from mirnet.web.job import SHOWABLE, Errand, Job
from mirnet.web.order import Order
from mirnet.web.settings import Settings

PREVIEW = 512
"""Pixels a side of the part that is restored first."""
LONGEST_NAME = 120


class TooLargeError(MirnetError):
    """A photo is larger than this server takes."""


def photo_name(told: str | None) -> str:
    """What a client calls a photo, without folders and without what can't be printed."""
    name = PurePosixPath((told or "").replace("\\", "/")).name
    name = "".join(letter for letter in name if letter.isprintable()).strip(". ")
    if len(name) > LONGEST_NAME:
        stem, dot, suffix = name.rpartition(".")
        name = stem[: LONGEST_NAME - len(suffix) - 1] + dot + suffix if len(suffix) < 10 else ""
    return name or "photo"


def accepted(form: FormData, settings: Settings, root: Path) -> Job:
    """A job, whose files lie in a new folder of its own below ``root``.

    Raises:
        MirnetError: an option or a file is not as it must be; nothing is left behind.
    """
    photos, texts = _parted(form)
    order = Order.of_fields(texts)
    weights, task, views = _weights(order)
    if "photo" not in photos:
        raise MirnetError("photo: is missing; send the file in a field of that name")
    if "right" in photos and views == 1:
        raise MirnetError(f"right: is a second view, and {weights} takes one picture")
    folder = Path(tempfile.mkdtemp(prefix="job-", dir=root))
    try:
        return _stored(photos, order, weights, task, views, folder, settings)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _parted(form: FormData) -> tuple[dict[str, UploadFile], dict[str, str]]:
    photos: dict[str, UploadFile] = {}
    texts: dict[str, str] = {}
    for name, value in form.multi_items():
        if name in texts or name in photos:
            raise MirnetError(f"{name[:40]}: is given twice")
        if isinstance(value, str):
            if name in ("photo", "right"):
                raise MirnetError(f"{name}: is a text; send the file itself, with its name")
            texts[name] = value
        elif name in ("photo", "right"):
            photos[name] = value
        else:
            raise MirnetError(f"{name[:40]}: is no file that is asked for; send it as photo")
    return photos, texts


def _weights(order: Order) -> tuple[str, str, int]:
    """The weights' name, their task, and how many views they take; never a path."""
    if order.weights is not None and order.weights not in CATALOG:
        raise MirnetError(
            f"weights: must be one of {', '.join(CATALOG)}, got {order.weights[:40]!r}"
        )
    name = weights_for(order.task, order.weights)
    try:
        checkpoint_for_photos(order.task, name, enlarges=order.enlarge > 1)
    except MirnetError as error:
        raise MirnetError(in_names(str(error), {resolve(name): name})) from error
    task = CATALOG[name].task
    return name, task, TASKS[task].views


def _stored(
    photos: Mapping[str, UploadFile],
    order: Order,
    weights: str,
    task: str,
    views: int,
    folder: Path,
    settings: Settings,
) -> Job:
    name, suffix = _name_and_suffix(photos["photo"])
    source, right = (_received(photos.get(field), folder, suffix) for field in ("photo", "right"))
    assert source
    written = f".{order.format}"
    if order.format == "keep":
        written = written_suffix(source, order.depth) or suffix
    shown = unmarked(Path(name), 0).name if right else name  # as the command line names it
    result_name = shown if written == suffix else shown[: len(shown) - len(suffix)] + written
    target = folder / "out" / f"photo{written}"
    target.parent.mkdir()
    names = {source: name, target: result_name}
    if right:
        names[right] = _name_and_suffix(photos["right"])[0]
    view = 0 if views == 2 and right is None else None
    try:
        header = read_header(source, view=view)
        if right:
            read_header(right)
        check_writable(_planned(header, order), target)
        is_shown = suffix in SHOWABLE & suffixes_of(source, view=view)
    except MirnetError as error:
        raise type(error)(in_names(str(error), names)) from error
    _require_size(name, header, order, settings)
    errand = Errand(
        source=source,
        right=right,
        target=target,
        order=order,
        weights=weights,
        box=order.visible and order.visible.middle(header.height, header.width, PREVIEW),
        preview=folder / "preview.png",
        before=None if is_shown else folder / "before.png",
        after=None if written in SHOWABLE else folder / "after.png",
    )
    return Job(names=names, header=header, folder=folder, errand=errand, task=task)


def _planned(header: PhotoHeader, order: Order) -> PhotoHeader:
    return header if order.depth == "keep" else replace(header, depth=order.depth)


def _name_and_suffix(photo: UploadFile) -> tuple[str, str]:
    name = photo_name(photo.filename)
    return name, _suffix(name)


def _received(photo: UploadFile | None, folder: Path, suffix: str) -> Path | None:
    """Where a photo that came was stored; None for none."""
    if photo is None:
        return None
    path = Path(tempfile.mkdtemp(prefix="in-", dir=folder)) / f"photo{suffix}"
    with path.open("wb") as file:
        shutil.copyfileobj(photo.file, file, 1 << 20)
    return path


def _suffix(name: str) -> str:
    """As the name has it, if it is one at all: what it means is for ``imaging`` to say."""
    match = re.search(r"\.[a-z0-9]{1,8}$", name.lower())
    return match[0] if match else ""


def _require_size(name: str, header: PhotoHeader, order: Order, settings: Settings) -> None:
    pixels = header.height * header.width * order.enlarge**2
    if pixels > settings.max_pixels:
        larger = f", {order.enlarge} times as large a side" if order.enlarge > 1 else ""
        raise TooLargeError(
            f"{name}: is {header.width}×{header.height} pixels{larger}; this server takes "
            f"{settings.max_pixels / 1e6:g} megapixels at most"
        )
