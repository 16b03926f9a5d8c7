"""Signals with which a scheduler takes a machine back, noted until the job has saved its state."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

__all__ = ["Requests"]

_WATCHED = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_LATER_S = 5.0  # in which a signal that some ranks had already has to reach this process
_POLL_S = 0.05


class Requests:
    """Notes SIGTERM, SIGUSR1 and SIGUSR2 while it is entered, in place of the scheduler's own handlers.

    submitit's handler of SIGUSR2 puts the job back into Slurm's queue, and Slurm then kills it: too early for a job
    that has to save first. `hand_back` is the moment for it.

    Args:
        until_killed_s: Seconds to wait after SIGTERM for the kill that follows it.

    Attributes:
        first: The first signal that came, None if none did.
    """

    def __init__(self, *, until_killed_s: float = 600.0) -> None:
        self.first: signal.Signals | None = None
        self._until_killed_s = until_killed_s
        self._came: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Requests:
        for number in _WATCHED:
            self._before[number] = signal.signal(number, self.note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Take note of a signal."""
        self.first = self.first or signal.Signals(number)
        self._came.append(number)

    def hand_back(self) -> None:
        """Let the scheduler do now what the signals asked for; the state is saved.

        Its handler may end this process. After SIGTERM alone there is nothing to call: Slurm itself puts a job back
        into the queue when it has to kill it, and a job that was cancelled ends with the kill.
        """
        end = time.monotonic() + (_LATER_S if self.first is None else self._until_killed_s)
        while time.monotonic() < end:
            if found := self._own_handler():
                number, handler = found
                handler(number, None)
                return
            time.sleep(_POLL_S)

    def _own_handler(self) -> tuple[int, Callable[[int, None], object]] | None:
        """Return a signal that came, with what the scheduler does about it."""
        for number in self._came:
            handler = self._before[number]
            if number != signal.SIGTERM and callable(handler):
                return number, handler
        return None
