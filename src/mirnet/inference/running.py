"""A network on a device: any size, in the arithmetic asked for, within the memory there is."""

from __future__ import annotations

import logging
import time
from functools import partial

import torch
from torch import Tensor

from mirnet.choices import Runtime
from mirnet.errors import InsufficientMemoryError, NonFiniteError, one_line
from mirnet.inference.backends.backend import Candidate, Choice
from mirnet.inference.backends.choosing import Runtimes, Wanted
from mirnet.inference.backends.pytorch import prepared
from mirnet.inference.fit import Fit, choose_fit, room_for
from mirnet.inference.memory import estimate_memory, lowered, shares_memory
from mirnet.inference.padding import crop, pad
from mirnet.inference.streaming.canvas import Memory, Rest, Scratch
from mirnet.inference.streaming.stream import Progress, ignore_progress, stream
from mirnet.models.mirnet_v2 import MIRNetV2
from mirnet.models.network import Network
from mirnet.units import in_bytes, in_time

logger = logging.getLogger("mirnet")

SAMPLE = (256, 512)
"""Height and width of the picture that tells how long a large one will take."""
BAND = 64
"""Rows that are looked at together."""


class Runner:
    """Runs a network.

    Attributes:
        network: a copy, on the device, never trained.
        device: where.
        dtype: the arithmetic; global reductions and the output stay in float32.
        dtype_for_8_bits: that of what is rounded to 8 bits.
        limit: bytes that this process may take on the device; what is free, if None.
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        dtype: torch.dtype,
        limit: int | None,
        runtime: Runtime = "torch",
        *,
        dtype_for_8_bits: torch.dtype | None = None,
    ) -> None:
        """Copy the network to its device; 8 bits go in ``dtype`` unless told.

        Raises what ``Runtimes`` does.
        """
        self.device, self.dtype, self.limit = device, dtype, limit
        self.dtype_for_8_bits = dtype_for_8_bits or dtype
        self.network = prepared(network, device)
        self._runtimes = Runtimes(self.network, device, dtype, runtime)
        self._told: set[str] = set()

    def fits(
        self,
        height: int,
        width: int,
        *,
        batch: int = 1,
        where: str,
        wanted: Wanted,
        after: int = 0,
        are_here: bool = False,
    ) -> list[Fit]:
        """How such images can go through memory, the best way first; ``are_here``: they are in it.

        Raises InsufficientMemoryError, which begins with ``where``, if there is none.
        """
        return choose_fit(
            self.network.config,
            height,
            width,
            batch=batch,
            dtype=wanted.dtype,
            wholes=self._wholes(batch, height, width, wanted),
            device=self.device,
            limit=self.limit,
            after=after,
            are_here=are_here,
            where=where,
        )

    def wanted(self, *, for_8_bits: bool) -> Wanted:
        """The arithmetic of a picture that is rounded to 8 bits, or of any other."""
        return Wanted(self.dtype_for_8_bits if for_8_bits else self.dtype, for_8_bits)

    @property
    def room(self) -> int:
        """Bytes of the host's memory that may still be taken."""
        shares = shares_memory(self.device)
        return room_for(torch.device("cpu"), self.limit if shares else None)

    def __call__(
        self,
        images: Tensor,
        *,
        where: str,
        for_8_bits: bool = False,
        after: int = 0,
        progress: Progress = ignore_progress,
    ) -> Tensor:
        """Run ``(N, C, H, W)`` of any size, clipped to [0, 1]; the output is float32, not clipped.

        Args:
            images: any floats.
            where: what messages begin with.
            for_8_bits: whether it is rounded to 8 bits, and bfloat16 will do where a runtime is
                faster with it.
            after: bytes a pixel that the caller needs for what comes after.
            progress: told how many sweeps over the pictures are done, of how many, in tiles.

        Raises:
            InsufficientMemoryError: it will not fit.
            NonFiniteError: the output is not finite even in float32.
        """
        wanted = self.wanted(for_8_bits=for_8_bits)
        outputs, dtype = self._within_memory(images, wanted, where, progress, after)
        if _is_finite(outputs):
            return outputs
        if dtype != torch.float32:
            logger.warning("%s: the output is not finite; redone in float32", where)
            del outputs
            again = f"{where}: the second try in float32"
            outputs, _ = self._within_memory(images, Wanted(torch.float32), again, progress, after)
        if not _is_finite(outputs):
            raise NonFiniteError(
                "the network's output is not finite even in float32; check the input for NaN and "
                "the weights with `mirnet weights`"
            )
        return outputs

    def _within_memory(
        self, images: Tensor, wanted: Wanted, where: str, progress: Progress, after: int
    ) -> tuple[Tensor, torch.dtype]:
        """The output, and the arithmetic that it was computed in.

        It goes the best way; one that failed after all gives way to the next.
        """
        batch, _, height, width = images.shape
        ways = self.fits(
            height, width, batch=batch, where=where, wanted=wanted, after=after, are_here=True
        )
        while True:
            try:
                self._announce(ways[0], images.shape, wanted, where)
                return self._run(images, wanted, ways[0], progress)
            except Exception as error:
                if not (ways := self._left(ways, error, where)):
                    raise
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            elif self.device.type == "mps":
                torch.mps.empty_cache()

    def _left(self, ways: list[Fit], error: Exception, where: str) -> list[Fit]:
        """The ways that are left after the first failed; none if it is no reason to go on."""
        way, *left = ways
        if _is_out_of_memory(error):
            left = [each for each in left if each.memory < way.memory or each.host < way.host]
            if not left:
                raise InsufficientMemoryError(
                    f"{where}: ran out of memory {way}, and no other way takes less; close other "
                    "programs, or take a smaller picture"
                ) from error
            logger.warning("%s: ran out of memory %s; goes on %s", where, way, left[0])
            return left
        if not (left and way.choice and self._runtimes.leave_out(way.choice)):
            return []
        goes = f"through {left[0].choice}" if left[0].choice else f"{left[0]}"
        logger.warning("%s: %s failed (%s); goes on %s", where, way.choice, one_line(error), goes)
        return left

    def _run(
        self, images: Tensor, wanted: Wanted, way: Fit, progress: Progress
    ) -> tuple[Tensor, torch.dtype]:
        backend, dtype = choice = way.choice or self._runtimes.plain(wanted)
        self._tell(choice)
        if way.tile:
            return self._in_tiles(images, dtype, way, progress), dtype
        inputs = images.to(self.device, torch.float32).clamp(0, 1)
        padded = pad(inputs, self.network.config.multiple)
        outputs = backend(padded, dtype)
        is_other = isinstance(backend, Candidate) and dtype == torch.float32
        if is_other and not _is_finite(outputs):
            raise NonFiniteError(f"{backend.name} gives values that are not finite; take torch")
        return crop(outputs, *images.shape[2:]), dtype

    def _tell(self, choice: Choice) -> None:
        """Say once what computes, and in which arithmetic."""
        if str(choice) not in self._told:
            self._told.add(str(choice))
            logger.info("taken: %s", choice)

    def _wholes(self, batch: int, height: int, width: int, wanted: Wanted) -> list[Fit]:
        """The ways for such pictures to go in one piece, the best first."""
        config = self.network.config
        estimate = partial(estimate_memory, config, height, width, batch=batch)
        may_lower = self._runtimes.may_lower(batch * height * width, wanted)
        least = estimate(dtype=torch.bfloat16 if may_lower else wanted.dtype)
        if least > room_for(self.device, self.limit):
            choices = [self._runtimes.plain(wanted)]  # a trial would only take what tiles need
        else:
            choices = self._runtimes.ranked(batch * height * width, wanted)
        return [
            Fit("nowhere", None, each.backend.memory(estimate(dtype=each.dtype)), choice=each)
            for each in choices
        ]

    @torch.no_grad()
    def _in_tiles(self, images: Tensor, dtype: torch.dtype, way: Fit, progress: Progress) -> Tensor:
        assert isinstance(self.network, MIRNetV2)
        assert way.tile
        count, _, height, width = images.shape
        shape = (count, self.network.config.out_channels, height, width)
        outputs = torch.empty(shape, dtype=torch.float32, device=images.device)
        for place in range(count):

            def told(done: int, total: int, place: int = place) -> None:
                progress(place * total + done, count * total)

            one = slice(place, place + 1)
            rest = _rest(way, dtype, self.device)
            with lowered(self.device.type, dtype):
                stream(self.network, images[one], tile=way.tile, rest=rest, into=outputs[one],
                       progress=told)  # fmt: skip
        return outputs

    def _announce(self, way: Fit, shape: torch.Size, wanted: Wanted, where: str) -> None:
        """Say what is done, and how long it takes, of a picture or a batch in tiles."""
        if way.tile is None or not logger.isEnabledFor(logging.INFO):
            return
        batch, _, height, width = shape
        pixels = batch * height * width
        need = in_bytes(self._wholes(batch, height, width, wanted)[0].memory)
        is_large = pixels > 8 * SAMPLE[0] * SAMPLE[1]
        rate = self._seconds_per_pixel(way, wanted) if is_large else 0
        about = f"; about {in_time(rate * pixels)}" if rate else ""
        goes = f"{width}×{height} goes" if batch == 1 else f"{batch} of {width}×{height} go"
        logger.info("%s: %s %s (whole: %s)%s", where, goes, way, need, about)

    def _seconds_per_pixel(self, way: Fit, wanted: Wanted) -> float:
        """From a small picture, after a tiny one that warms up."""
        seconds = 0.0
        for height, width in ((16, 16), SAMPLE):
            picture = torch.full((1, self.network.config.in_channels, height, width), 0.5)
            start = time.perf_counter()
            self._run(picture, wanted, way, ignore_progress)
            seconds = time.perf_counter() - start
        return seconds / (SAMPLE[0] * SAMPLE[1])


def _is_finite(outputs: Tensor) -> bool:
    """Whether all are numbers; of a whole picture, the look takes as much memory as it twice."""
    return all(bool(torch.isfinite(band).all()) for band in torch.split(outputs, BAND, dim=2))


def _rest(way: Fit, dtype: torch.dtype, device: torch.device) -> Rest:
    if way.rests == "scratch":
        return Scratch(dtype)
    return Memory(dtype, device if way.rests == "device" else torch.device("cpu"))


def _is_out_of_memory(error: Exception) -> bool:
    """PyTorch has a class for it on CUDA alone; else it is a RuntimeError, by its words."""
    words = (
        "not enough memory",
        "can't allocate memory",
        "bad_alloc",
        "bad allocation",  # the same on Windows
        "CUDA error: out of memory",
        "STATUS_ALLOC_FAILED",  # of cuBLAS and cuDNN
        "Failed to allocate",
        "MPS backend out of memory",
        "could not create a primitive",  # of oneDNN
    )
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        each in str(error) for each in words
    )
