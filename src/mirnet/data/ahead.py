"""Do slow work a few items ahead, in threads, and take the results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from mirnet.environment import cores

MOST = 8
"""What waits is whole pictures: more would take the memory that they are to be worked on in."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> Iterator[tuple[Item, Result]]:
    """Each item and what ``work`` makes of it; at most one result a thread is kept waiting.

    There are as many threads as cores, `MOST` at most, unless told.
    """
    ahead = threads or min(cores(), MOST)
    with ThreadPoolExecutor(ahead) as pool:
        waiting: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            waiting.append((item, pool.submit(work, item)))
            if len(waiting) > ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()
