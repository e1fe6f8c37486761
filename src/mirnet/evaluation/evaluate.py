"""Score methods on pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import torch
from torch import Tensor

from mirnet.data.ahead import in_order
from mirnet.data.checking import require_targets
from mirnet.data.pair import Pair
from mirnet.data.picture import Pixels, digest
from mirnet.errors import DataError, MissingDependencyError, PhotoError, one_line
from mirnet.evaluation.method import Method, Restore
from mirnet.evaluation.scores import Fault, PairScore
from mirnet.imaging.photo import Depth
from mirnet.imaging.quantize import to_planes
from mirnet.inference.files import PIXEL_TYPES
from mirnet.metrics.lpips import Lpips
from mirnet.metrics.protocol import Protocol, score

logger = logging.getLogger("mirnet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a method made of a pair: the restored picture ``(3, H, W)``, and how good it is."""

    pair: Pair
    score: PairScore
    restored: Tensor


def evaluate(restore: Restore, pairs: Sequence[Pair], protocol: Protocol) -> tuple[PairScore, ...]:
    """Score on these pairs by ``protocol``.

    Raises DataError, with the pair's place, for the first one that the network can't take or the
    protocol can't score, or that has no target.
    """
    method = Method(name="", identity={}, restore=lambda _, views: restore(views))
    scores = []
    for result in score_pairs(method, pairs, protocol, workers=1):
        if isinstance(result, Fault):
            raise DataError(result.why)
        scores.append(result.score)
    return tuple(scores)


def score_pairs(
    method: Method,
    pairs: Sequence[Pair],
    protocol: Protocol,
    *,
    depth: Depth | None = None,
    lpips: Lpips | None = None,
    workers: int | None = None,
) -> Iterator[Result | Fault]:
    """Restore and score these pairs, in their order; what goes wrong with one stops no other.

    Each is restored alone: in a batch the last bits of a picture depend on its neighbours, and
    where a protocol rounds, so would its score.

    Args:
        method: what restores.
        pairs: views and targets, of any sizes.
        protocol: how each is scored. Scores depend on nothing else.
        depth: that the pictures must have, where a benchmark's publisher says so.
        lpips: with its weights, for a protocol that names it.
        workers: threads that read pictures ahead; as many as cores, 8 at most, unless told.

    Raises DataError if a pair has no target.
    """
    require_targets(pairs, of=f"protocol {protocol.name}")
    for _, loaded in in_order(partial(_load, depth=depth), pairs, workers):
        if isinstance(loaded, Fault):
            yield loaded
        else:
            yield _scored(method, loaded, protocol, lpips)


def load_pair(pair: Pair) -> tuple[Tensor, Tensor]:
    """The views ``(1, 3·views, H, W)`` and the target ``(1, 3, H, W)`` of a pair, in [0, 1]."""
    return _as_tensors([picture.pixels() for picture in pair.pictures()])


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A pair that waits, as its files have it: floats would take four times the memory."""

    pair: Pair
    pictures: list[Pixels]
    digests: tuple[str, ...]


def _load(pair: Pair, depth: Depth | None) -> _Loaded | Fault:
    try:
        _require_writable_name(pair)
        pictures = [picture.pixels() for picture in pair.pictures()]
        _require_depth(pair, pictures, depth)
        _require_equal_sizes(pair, pictures)
        return _Loaded(pair, pictures, tuple(map(digest, pictures)))
    except Exception as error:
        logger.debug("%s", pair.place, exc_info=True)
        return Fault(id=printable(pair.id), why=printable(one_line(error)))


def _require_writable_name(pair: Pair) -> None:
    """Scores, tables and pages are UTF-8, and name their pairs."""
    try:
        pair.id.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{pair.place}: its name is not UTF-8; rename it") from error


def _require_depth(pair: Pair, pictures: Sequence[Pixels], depth: Depth | None) -> None:
    for picture, pixels in zip(pair.pictures(), pictures, strict=True):
        if depth is not None and pixels.dtype != PIXEL_TYPES[depth]:
            raise DataError(
                f"{picture.place}: holds {pixels.dtype.name} values, and this benchmark is "
                f"published with {depth} bits; fetch it again, or score it as a folder of your own"
            )


def _require_equal_sizes(pair: Pair, pictures: Sequence[Pixels]) -> None:
    target = pictures[-1]
    for picture, pixels in zip(pair.pictures(), pictures, strict=True):
        if pixels.shape[:2] != target.shape[:2]:
            raise DataError(
                f"{picture.place}: is {pixels.shape[1]}×{pixels.shape[0]}, its target {pair.place} "
                f"is {target.shape[1]}×{target.shape[0]}; the pictures of a pair must have the "
                "same size"
            )


def _as_tensors(pictures: Sequence[Pixels]) -> tuple[Tensor, Tensor]:
    *views, target = [torch.from_numpy(to_planes(pixels))[None] for pixels in pictures]
    return torch.cat(views, dim=1), target


def _scored(
    method: Method, loaded: _Loaded, protocol: Protocol, lpips: Lpips | None
) -> Result | Fault:
    try:
        views, target = _as_tensors(loaded.pictures)
        start = perf_counter()
        restored = method.restore(loaded.pair, views).cpu()
        seconds = perf_counter() - start
        scores = _numbers(restored, target, protocol, lpips)
        before = _numbers(views[:, :3], target, protocol, lpips)
    except MissingDependencyError:  # which the next pair would lack too
        raise
    except Exception as error:
        logger.debug("%s", loaded.pair.place, exc_info=True)
        return _fault(loaded.pair, protocol, error)
    score = PairScore(
        id=loaded.pair.id,
        group=loaded.pair.group,
        scores=scores,
        input=before,
        digests=loaded.digests,
        seconds=seconds,
    )
    return Result(pair=loaded.pair, score=score, restored=restored[0])


def _numbers(
    output: Tensor, target: Tensor, protocol: Protocol, lpips: Lpips | None
) -> dict[str, float]:
    found = score(output, target, protocol, lpips=lpips)
    return {name: float(value) for name, value in found.items()}


def _fault(pair: Pair, protocol: Protocol, error: Exception) -> Fault:
    why = one_line(error)
    if not isinstance(error, DataError | PhotoError):  # which name a place of their own
        why = f"{pair.place}: can't be restored or scored as {protocol.name}: {why}"
    return Fault(id=pair.id, why=why)


def printable(text: str) -> str:
    """With what is no UTF-8 in a file's name spelt out."""
    return text.encode(errors="backslashreplace").decode()
