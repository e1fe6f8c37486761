"""Training batches, as a pure function of the seed and the step.

Sample number n of a run is drawn by a random generator seeded with (seed, n): its source, picture,
crop, flips and noise. So a resumed run sees exactly what the uninterrupted one would have seen,
with any number of processes and workers, and nothing about the order has to be saved.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mirnet.data.degradations import Degradation, random_exposure
from mirnet.data.pair import Pair
from mirnet.data.transforms import Augmentation, mixed, random_flips, random_region, shrunk
from mirnet.errors import DataError
from mirnet.imaging.quantize import to_planes

Planes = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Pairs that are drawn from alike.

    Attributes:
        pairs: the examples, of packed pictures; those without views get one by ``degradation``.
        weight: how often this source is drawn, relative to the others.
        degradation: makes the views of pairs that have none.
        exposure: whether clean pictures are darkened at random before they are degraded.
    """

    pairs: tuple[Pair, ...]
    weight: float
    degradation: Degradation | None = None
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
        augmentations: tuple[Augmentation, ...] = (),
        mixup: float | None = None,
    ) -> None:
        """Draw from ``sources`` with their weights.

        Args:
            sources: where samples come from.
            seed: of all draws.
            augmentations: flips, each with probability 1/2.
            mixup: a sample is mixed with another with probability 1/2, by a share drawn from the
                Beta distribution of this parameter; None mixes none.
        """
        self.sources = sources
        self.seed = seed
        self.augmentations = augmentations
        self.mixup = mixup
        weights = np.array([source.weight for source in sources], dtype=np.float64)
        self.shares = weights / weights.sum()

    def __getitem__(self, request: SampleRequest) -> tuple[Tensor, Tensor]:
        """Draw one sample, a pure function of the seed and the request."""
        rng = np.random.default_rng([self.seed, request.number])
        sample = self._draw(request, rng)
        if self.mixup is not None and rng.random() < 0.5:
            sample = mixed(sample, self._draw(request, rng), rng.beta(self.mixup, self.mixup))
        views, target = sample
        return torch.from_numpy(views), torch.from_numpy(target)

    def _draw(self, request: SampleRequest, rng: np.random.Generator) -> tuple[Planes, Planes]:
        """The same crop and flips of all pictures of a pair; no more than the crop is read."""
        source = self.sources[int(rng.choice(len(self.sources), p=self.shares))]
        pictures = tuple(source.pairs[int(rng.integers(len(source.pairs)))].pictures())
        region = random_region(pictures[-1].layout().size, request.patch_size * request.shrink, rng)
        crops = [picture.pixels(region) for picture in pictures]
        crops = random_flips(crops, self.augmentations, rng)
        planes = [shrunk(to_planes(np.ascontiguousarray(crop)), request.shrink) for crop in crops]
        if source.degradation is not None:
            planes = _degraded(planes[0], source.degradation, rng, darkened=source.exposure)
        return np.concatenate(planes[:-1]), planes[-1]


def _degraded(
    clean: Planes, degradation: Degradation, rng: np.random.Generator, *, darkened: bool
) -> list[Planes]:
    """The degraded views of a clean ``(3, P, P)`` picture, and its target."""
    picture = clean.transpose(1, 2, 0)
    if darkened:
        picture = random_exposure(picture, rng)
    views = degradation(picture, rng)
    return [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in (*views, picture)]


@contextmanager
def _signals_kept_here() -> Iterator[None]:
    """Processes that are started in here never get the signals that ask a run to stop.

    A terminal and a cluster's scheduler send them to all processes; a worker that ends of one takes
    the run with it, before the run has saved its state.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which would let signals through again when it starts
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def make_loader(
    samples: TrainingSamples, batches: Iterable[list[SampleRequest]], *, workers: int
) -> Generator[tuple[Tensor, Tensor], None, None]:
    """Batches ``(views, target)``, ``(N, C, P, P)``, in the order of ``batches``.

    Close it, so that its workers end; they don't end by the signals that stop a run.

    Workers are spawned, not forked: libvips hangs in a fork of a process that has decoded.
    """
    loader = DataLoader(
        samples,
        batch_sampler=batches,  # requests stand in for indices
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
    others = multiprocessing.active_children()
    with _signals_kept_here():
        drawn = iter(loader)
    started = [process for process in multiprocessing.active_children() if process not in others]
    try:
        yield from drawn
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            "a process of data.workers has ended, killed or out of memory; lower data.workers, and "
            "run the same command again to go on"
        ) from error
    except DataError as error:
        # A worker's error comes with its traceback; what it says is the last line.
        last = str(error).rstrip().splitlines()[-1]
        raise DataError(last.removeprefix(f"{DataError.__module__}.DataError: ")) from error
    finally:
        del drawn  # asks the workers to end
        for process in started:
            process.kill()  # SIGTERM does not reach them
            process.join()
