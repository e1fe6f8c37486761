"""Stopping a run when a signal asks for it: after the step, with its state saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class StopRequest:
    """Notes SIGINT and SIGTERM while it is entered; what was set before is then set again.

    An exception at any place could be swallowed by a library's callback, and would leave a step
    half done. A second signal is raised at once all the same.
    """

    def __init__(self) -> None:
        """Nothing was asked for yet."""
        self.number: int | None = None
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Self:
        """Note signals, if this is the thread that gets them."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the signals back, and raise the one that was noted as if it came now."""
        self._give_back()
        if self.number is not None and kind is None:
            signal.raise_signal(self.number)

    def _give_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.number is not None:
            self._give_back()
            signal.raise_signal(number)
        self.number = number
