"""Pairs as a report shows them: before and after, and crops side by side (as in Figs. 4–9)."""

from __future__ import annotations

import base64
import math
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mirnet.data.pair import Pair
from mirnet.errors import DataError, MirnetError
from mirnet.evaluation.journal import Journal
from mirnet.evaluation.scores import Scores
from mirnet.imaging.io import read_photo, write_photo
from mirnet.imaging.photo import Photo
from mirnet.imaging.quantize import quantize, to_float

SHOWN = 3
"""Pictures from each end of the list."""
OVERVIEW = 480
"""Longest side of a whole picture, in pixels."""
CROP = 96
"""Side of a crop, in pixels; a page shows it enlarged, by as much as there is room."""

AnyPixels = Any


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair as the page shows it: whole before and after, and crops with a name each."""

    id: str
    what: str
    before: str
    after: str
    crops: tuple[tuple[str, str], ...]


def figures(methods: dict[Path, Scores], pairs: Sequence[Pair]) -> list[Shown]:
    """The pairs that the first method helps most and least."""
    first = next(iter(methods.values()))
    gains = {pair.id: pair.scores["psnr"] - pair.input["psnr"] for pair in first.pairs}
    ordered = sorted(
        (name for name, gain in gains.items() if math.isfinite(gain)), key=gains.__getitem__
    )
    least, most = ordered[:SHOWN], ordered[: -SHOWN - 1 : -1]
    chosen = dict.fromkeys(most, "among the most improved")
    chosen |= {name: "among the least improved" for name in least if name not in chosen}
    journals = _journals(methods)
    by_id = {pair.id: pair for pair in pairs}
    scored = {pair.id: pair for pair in first.pairs}
    shown = []
    for name, why in chosen.items():
        numbers = scored[name]
        what = (
            f"{why}: PSNR {numbers.input['psnr']:.2f} → {numbers.scores['psnr']:.2f} dB "
            f"by {first.method['name']}"
        )
        try:
            shown.append(_shown(by_id[name], what, methods, journals))
        except (KeyError, OSError, MirnetError):  # removed since
            continue
    return shown


def _journals(places: Iterable[Path]) -> dict[Path, Journal]:
    """What knows the pictures of each method; a damaged one is no reason to show no others."""
    found = {}
    for place in places:
        with suppress(DataError):
            found[place] = Journal(place)
    return found


def _shown(
    pair: Pair, what: str, methods: dict[Path, Scores], journals: dict[Path, Journal]
) -> Shown:
    """What was scored is shown, and no picture that was put there since."""
    pictures = {"input": _float(pair.views[0].pixels())}
    for place, scores in methods.items():
        if place in journals and (path := journals[place].picture(pair.id)):
            pictures[scores.method["name"]] = _float(read_photo(path).pixels)
    first = next(iter(methods.values())).method["name"]
    if first not in pictures:
        raise DataError(f"{pair.id}: its restored picture is gone")
    restored = pictures[first]
    assert pair.target is not None
    pictures["target"] = _float(pair.target.pixels())
    top, left = _telling_crop(pictures["input"], restored)
    window = slice(top, top + CROP), slice(left, left + CROP)
    return Shown(
        id=pair.id,
        what=what,
        before=_data_uri(_small(pictures["input"]), quality=70),
        after=_data_uri(_small(restored), quality=70),
        crops=tuple(
            (name, _data_uri(value[window], quality=90)) for name, value in pictures.items()
        ),
    )


def _telling_crop(before: AnyPixels, after: AnyPixels) -> tuple[int, int]:
    """Where a crop shows most detail that was changed: top and left."""
    height, width = before.shape[:2]
    changed = np.abs(after - before).mean(axis=2)
    grey = np.pad(after.mean(axis=2), ((0, 1), (0, 1)), mode="edge")
    detail = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    weight = changed / (changed.mean() + 1e-6) + detail / (detail.mean() + 1e-6)
    places = [
        (top, left)
        for top in range(0, max(height - CROP, 0) + 1, CROP // 2)
        for left in range(0, max(width - CROP, 0) + 1, CROP // 2)
    ]
    return max(places, key=lambda at: weight[at[0] : at[0] + CROP, at[1] : at[1] + CROP].sum())


def _float(pixels: AnyPixels) -> AnyPixels:
    planes = to_float(pixels)
    return np.repeat(planes, 3, axis=2) if planes.shape[2] == 1 else planes


def _small(picture: AnyPixels) -> AnyPixels:
    """Brought down by a whole number, by averaging, so that it fits a page; a strip stays one."""
    factor = max(1, math.ceil(max(picture.shape[:2]) / OVERVIEW))
    factor = min(factor, *picture.shape[:2])
    height, width = (side // factor * factor for side in picture.shape[:2])
    blocks = picture[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
    return blocks.mean(axis=(1, 3))


def _data_uri(picture: AnyPixels, *, quality: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.webp"
        write_photo(Photo(pixels=quantize(picture, np.uint8)), path, quality=quality)
        return "data:image/webp;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
