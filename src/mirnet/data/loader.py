"""Training batches, as a pure function of the seed and the step.

Sample number n of a run is drawn by a random generator seeded with (seed, n): its source, picture,
crop, flips and noise. So a resumed run sees exactly what the uninterrupted one would have seen,
with any number of worker processes, and nothing about the order has to be saved.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mirnet.data.decoded import DecodedPictures
from mirnet.data.degradations import DEGRADATIONS, random_exposure
from mirnet.data.pair import Pair
from mirnet.data.transforms import Augmentation, random_crop, random_flips, shrunk
from mirnet.errors import DataError, PhotoError
from mirnet.imaging.quantize import to_planes

MOST_UNREADABLE = 8
"""Pictures in a row that can't be read, before the data are given up."""

logger = logging.getLogger("mirnet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Pairs that are drawn from alike.

    Attributes:
        pairs: the examples; those without views get one by ``degradation``.
        weight: how often this source is drawn, relative to the others.
        degradation: a name of ``DEGRADATIONS``, for pairs without views.
        exposure: whether clean pictures are darkened at random before they are degraded.
    """

    pairs: tuple[Pair, ...]
    weight: float
    degradation: str | None = None
    exposure: bool = False


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Which sample to draw, and how large a patch, in pixels, after shrinking how many times."""

    number: int
    patch_size: int
    shrink: int = 1


class TrainingSamples(Dataset[tuple[Tensor, Tensor]]):
    """Draws samples: ``(views, target)``, ``(3·views, P, P)`` and ``(3, P, P)`` in [0, 1]."""

    def __init__(
        self,
        sources: tuple[Source, ...],
        *,
        seed: int,
        augmentations: tuple[Augmentation, ...],
        cache: Path,
    ) -> None:
        """Draw from ``sources`` with their weights; decoded pictures are kept in ``cache``."""
        self.sources = sources
        self.seed = seed
        self.augmentations = augmentations
        self.pictures = DecodedPictures(cache)
        self._unreadable: set[str] = set()
        weights = np.array([source.weight for source in sources], dtype=np.float64)
        self.shares = weights / weights.sum()

    def __getitem__(self, request: SampleRequest) -> tuple[Tensor, Tensor]:
        """Draw one sample, a pure function of the seed and the request."""
        rng = np.random.default_rng([self.seed, request.number])
        source, pictures = self._draw(rng)
        pictures = random_crop(pictures, request.patch_size * request.shrink, rng)
        pictures = random_flips(pictures, self.augmentations, rng)
        planes = [
            shrunk(to_planes(np.ascontiguousarray(picture)), request.shrink) for picture in pictures
        ]
        if source.degradation is not None:
            planes = _degrade(planes[0], source, rng)
        return torch.from_numpy(np.concatenate(planes[:-1])), torch.from_numpy(planes[-1])

    def _draw(self, rng: np.random.Generator) -> tuple[Source, list[NDArray[Any]]]:
        """A source and the pictures of one of its pairs; another for one that can't be read."""
        for _ in range(MOST_UNREADABLE):
            source = self.sources[int(rng.choice(len(self.sources), p=self.shares))]
            pair = source.pairs[int(rng.integers(len(source.pairs)))]
            try:
                return source, [self.pictures.get(path) for path in (*pair.views, pair.target)]
            except (PhotoError, OSError) as error:
                if pair.id not in self._unreadable:
                    logger.warning("%s; another picture is taken instead", error)
                self._unreadable.add(pair.id)
        raise DataError(
            f"{MOST_UNREADABLE} pictures in a row can't be read, {pair.target} the last; check the "
            "folders of data.sources"
        )


def _degrade(
    clean: NDArray[np.float32], source: Source, rng: np.random.Generator
) -> list[NDArray[np.float32]]:
    """The degraded view of a clean ``(3, P, P)`` picture, and its target."""
    picture = clean.transpose(1, 2, 0)
    if source.exposure:
        picture = random_exposure(picture, rng)
    view = DEGRADATIONS[source.degradation or ""](picture, rng)
    return [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in (view, picture)]


def make_loader(
    samples: TrainingSamples, batches: Iterable[list[SampleRequest]], *, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches ``(views, target)``, ``(N, C, P, P)``, in the order of ``batches``.

    Workers are spawned, not forked: libvips hangs in a fork of a process that has decoded.
    """
    return iter(
        DataLoader(
            samples,
            batch_sampler=batches,  # requests stand in for indices
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )
    )
