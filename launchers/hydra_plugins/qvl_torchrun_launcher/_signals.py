"""Signals that end a sweep, noted for the queue to act on."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Notes SIGINT, SIGTERM and SIGHUP while it is entered; one that is ignored, as under nohup, stays ignored.

    Attributes:
        first: The first that came, None if none did.
        hurry: Whether Ctrl-C came after it: nobody wants to wait.
    """

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self.hurry = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in WATCHED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self.note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Take note of a signal."""
        if self.first is None:
            self.first = signal.Signals(number)
        elif number == signal.SIGINT:
            self.hurry = True

    @property
    def saves(self) -> bool:
        """Whether the jobs get the time to save: the machine is wanted back, nobody sits in front of it."""
        return self.first in (signal.SIGTERM, signal.SIGHUP)

    @property
    def exit_code(self) -> int:
        """Exit code of a process that the signal ended, as shells count."""
        return 128 + (self.first or 0)
