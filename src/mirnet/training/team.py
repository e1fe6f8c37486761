"""The processes of a run: what they tell each other, and that one of them is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from lightning_fabric import Fabric

from mirnet.errors import LostProcessError

Thing = TypeVar("Thing")
SIGNS = ("peer", "gloo", "NCCL", "c10d", "TCPStore", "Socket")
"""Words in the errors that a process gets when another one has ended."""


class Team:
    """All processes of a run; each is told which one it is.

    Attributes:
        rank: the number of this process; number 0 writes logs and states.
        size: how many there are.
    """

    def __init__(self, fabric: Fabric) -> None:
        """The team of an engine that was launched."""
        self._fabric = fabric
        self.rank, self.size = fabric.global_rank, fabric.world_size

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def share(self, loss: float, stop: int | None) -> tuple[float, int | None]:
        """The mean of a step's loss over all, and the signal that any of them has got."""
        if self.size == 1:
            return loss, stop
        numbers = torch.tensor([loss, float(stop or 0)], device=self._fabric.device)
        everyone = [torch.empty_like(numbers) for _ in range(self.size)]
        with self.watching():
            torch.distributed.all_gather(everyone, numbers)
        losses, stops = torch.stack(everyone).cpu().unbind(dim=1)
        return float(losses.mean()), int(stops.max()) or None

    def gather(self, thing: Thing) -> list[Thing]:
        """Everybody's thing, by rank."""
        if self.size == 1:
            return [thing]
        everyone: list[Thing] = [thing] * self.size
        with self.watching():
            torch.distributed.all_gather_object(everyone, thing)
        return everyone

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Say of a process that is gone what can be done. Raises LostProcessError."""
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not any(sign in str(error) for sign in SIGNS):
                raise
            raise LostProcessError(
                f"process {self.rank} of {self.size} has lost another one; its line tells why, if "
                "it could. Run the same command again to go on from the last state"
            ) from error

    def dismiss(self) -> None:
        """End the processes that this one has started; they can't go on without it."""
        launcher = self._fabric.strategy.launcher
        for process in getattr(launcher, "procs", []):
            if process.poll() is None:
                process.terminate()
