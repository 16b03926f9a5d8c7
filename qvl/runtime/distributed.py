"""Which of the processes of a run this one is, and what the others have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any, TypeVar

from qvl.errors import ConfigError, QvlError
from qvl.runtime.workers import available_cpus

__all__ = [
    "Rank",
    "cpus_of_process",
    "first_goes_ahead",
    "gathered",
    "joined",
    "local_world_size",
    "rank_from_environment",
    "together",
]

Value = TypeVar("Value")
_PATIENCE = timedelta(days=7)
_turns = count()


@dataclass(frozen=True, slots=True)
class Rank:
    """Place of a process in its run.

    Attributes:
        rank: Number among all processes, 0 <= rank < world_size.
        local_rank: Number among the processes of this machine.
        world_size: Number of all processes.
    """

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that no launcher gives."""
        if not (0 <= self.local_rank <= self.rank < self.world_size):
            raise ValueError(f"expected 0 <= local_rank <= rank < world_size, got {self}")

    @property
    def is_main(self) -> bool:
        """Whether this is the one process that writes files and talks to the user."""
        return self.rank == 0


def rank_from_environment(environ: Mapping[str, str] = os.environ) -> Rank:
    """Read RANK, LOCAL_RANK and WORLD_SIZE as torchrun sets them; a plain process is 0 of 1.

    Raises:
        ConfigError: A variable is no number, or the three contradict each other.
    """
    values = [environ.get(name, default) for name, default in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "1"))]
    try:
        return Rank(*(int(value) for value in values))
    except ValueError as error:
        raise ConfigError(
            f"environment: RANK={values[0]!r}, LOCAL_RANK={values[1]!r}, WORLD_SIZE={values[2]!r}: {error}"
        ) from error


def local_world_size(environ: Mapping[str, str] = os.environ) -> int:
    """Return the number of processes of this run on this machine, as torchrun sets LOCAL_WORLD_SIZE."""
    text = environ.get("LOCAL_WORLD_SIZE", "1")
    return max(int(text), 1) if text.isdecimal() else 1


def cpus_of_process(environ: Mapping[str, str] = os.environ) -> int:
    """Return the share of the processors that this process has beside the others of its run, at least 1."""
    return max(available_cpus() // local_world_size(environ), 1)


@contextmanager
def first_goes_ahead(rank: Rank) -> Iterator[None]:
    """Let the first process do something before the others; it may take hours, and they need not be joined yet.

    Joined processes wait for each other no longer than their timeout, so that a dead one is noticed in minutes. What
    one of them does for all of them on large data therefore comes before they are joined. All of them have to call it.

    Args:
        rank: Of this process; torchrun has told it where the others are.

    Raises:
        QvlError: In the others, what went wrong in the first; there its own error is raised.
    """
    if rank.world_size == 1:
        yield
        return
    key = f"qvl/first/{next(_turns)}"
    if not rank.is_main:
        if reason := _told(key):
            raise QvlError(f"process 0 of {rank.world_size} could not go on: {reason}")
        yield
        return
    reason = "it was interrupted"
    try:
        yield
        reason = ""
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise
    finally:
        _store().set(key, reason)


def _told(key: str) -> str:
    try:
        _store().wait([key], _PATIENCE)
        return str(_store().get(key).decode())
    except RuntimeError as error:  # the store is gone: of torch's own type for what happens on a network
        return f"it has ended, see its log ({str(error).partition(chr(10))[0]})"


@cache  # without torchrun it lies in the first process, and is there as long as someone holds it
def _store() -> Any:
    """Return the store of key and value by which the processes of a run find each other."""
    from torch.distributed import rendezvous

    store, _, _ = next(rendezvous("env://", timeout=_PATIENCE))
    return store


def gathered(value: Value) -> list[Value]:
    """Return the value of every process, by rank, on every process; all of them have to call it.

    Args:
        value: Anything that can be pickled.
    """
    import torch.distributed as dist

    if not dist.is_initialized():
        return [value]
    values = [value] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


@contextmanager
def joined(rank: Rank) -> Iterator[None]:
    """Let the processes of a run talk to each other, over gloo, between their CPUs; one alone has nobody to talk to.

    Args:
        rank: Of this process; torchrun has told it where the others are.
    """
    if rank.world_size == 1:
        yield
        return
    import torch.distributed as dist

    dist.init_process_group("gloo", rank=rank.rank, world_size=rank.world_size)
    try:
        yield
    finally:
        dist.destroy_process_group()


def together(work: Callable[[], Value]) -> list[Value]:
    """Return what every process has made, by rank, or fail in all: one that waited for another would wait for ever.

    Args:
        work: What this process does; all of them have to call it. What it returns can be pickled.

    Raises:
        QvlError: In the others, what went wrong in one; there its own error is raised.
    """
    made: list[Value] = []
    failed: Exception | None = None
    try:
        made.append(work())
    except (QvlError, OSError, RuntimeError, ValueError) as error:
        failed = error
    told = gathered((made, None if failed is None else f"{type(failed).__name__}: {failed}"))
    if failed is not None:
        raise failed
    for number, (_, reason) in enumerate(told):
        if reason is not None:
            raise QvlError(f"process {number} of {len(told)} could not go on: {reason}")
    return [value for values, _ in told for value in values]
