"""Which of the processes of a run this one is, and what the others have."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from qvl.errors import ConfigError

__all__ = ["Rank", "gathered", "rank_from_environment"]

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
