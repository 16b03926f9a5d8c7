"""The same work on many pieces, in several processes, with the results in the order of the pieces."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Generic, TypeVar

from qvl.errors import QvlError

__all__ = ["available_cpus", "in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cpus() -> int:
    """Return how many processors this process may use; a container's share counts where the kernel shows it."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))


def in_order(work: Callable[[Item], Result], items: Sequence[Item], *, processes: int) -> Iterator[Result]:
    """Yield `work(item)` of every item, in their order.

    The processes are forked when the first result is asked for, so `work` may hold anything; items and results are
    sent to and fro. With one process, or one item, the work is done here, where a debugger sees it.

    Args:
        work: What is done with a piece.
        items: The pieces.
        processes: At most so many work at once.

    Raises:
        QvlError: `work` raised it, or a process died.
    """
    count = min(processes, len(items))
    if count <= 1:
        yield from map(work, items)
        return
    crew: _Crew[Item, Result] = _Crew(work, count)
    try:
        yield from crew.results(items)
    finally:
        crew.stop()


class _Crew(Generic[Item, Result]):
    """Processes that wait for pieces."""

    def __init__(self, work: Callable[[Item], Result], count: int) -> None:
        context = multiprocessing.get_context("fork")
        self._members: dict[Connection, ForkProcess] = {}
        for _ in range(count):
            ours, theirs = context.Pipe()
            member = context.Process(target=_serve, args=(work, theirs, [*self._members, ours]), daemon=True)
            member.start()
            theirs.close()
            self._members[ours] = member

    def results(self, items: Sequence[Item]) -> Iterator[Result]:
        waiting = iter(enumerate(items))
        busy: dict[Connection, int] = {}
        done: dict[int, Result] = {}
        for member in self._members:
            self._hand_out(member, waiting, busy)
        for number in range(len(items)):
            while number not in done:
                ready = wait(list(busy))
                for member in [member for member in busy if member in ready]:
                    done[busy.pop(member)] = self._received(member)
                    self._hand_out(member, waiting, busy)
            yield done.pop(number)

    def stop(self) -> None:
        for connection, member in self._members.items():
            connection.close()
            member.terminate()
        for member in self._members.values():
            member.join()

    @staticmethod
    def _hand_out(member: Connection, waiting: Iterator[tuple[int, Item]], busy: dict[Connection, int]) -> None:
        piece = next(waiting, None)
        if piece is not None:
            busy[member] = piece[0]
            member.send(piece[1])

    def _received(self, member: Connection) -> Result:
        try:
            result: Result | QvlError = member.recv()
        except (EOFError, OSError):
            process = self._members[member]
            process.join()
            raise QvlError(
                f"a process of this work died with exit code {process.exitcode}, see above; with -9 memory was short"
            ) from None
        if isinstance(result, QvlError):
            raise result
        return result


def _serve(work: Callable[[Item], Result], pieces: Connection, others: Sequence[Connection]) -> None:
    """Work until the other end is closed; `others` would keep it open after the death of the first process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for connection in others:
        connection.close()
    while True:
        try:
            item = pieces.recv()
        except EOFError:
            return
        result: Result | QvlError
        try:
            result = work(item)
        except QvlError as error:
            result = error
        try:
            pieces.send(result)
        except BrokenPipeError:  # the first process is gone
            return
