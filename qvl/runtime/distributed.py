"""Which of the processes of a run this one is, and what the others have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from qvl.errors import ConfigError, QvlError

__all__ = ["Rank", "gathered", "joined", "rank_from_environment", "together"]

Value = TypeVar("Value")


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
