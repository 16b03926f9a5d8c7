"""Which user turns make which batch on which process."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["TurnBatches"]


class TurnBatches:
    """Batches of one process: together the processes see every turn of an epoch exactly once, in its order.

    When the turns do not divide by the number of processes, the last ones get fillers: the negative index -k - 1 stands
    for turn k with nothing supervised.
    """

    def __init__(self, num_turns: int, *, batch_size: int, rank: int, world_size: int) -> None:
        """Say who asks.

        Args:
            num_turns: User turns of an epoch.
            batch_size: Turns of one batch; the last batch may be short.
            rank: Number of this process.
            world_size: Number of processes.
        """
        self.num_turns = num_turns
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.drop_last = False

    @property
    def _per_process(self) -> int:
        return -(-self.num_turns // self.world_size)

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-self._per_process // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield lists of indices."""
        numbers = range(self.rank, self._per_process * self.world_size, self.world_size)
        indices = [n if n < self.num_turns else -(n % self.num_turns) - 1 for n in numbers]
        for start in range(0, len(indices), self.batch_size):
            yield indices[start : start + self.batch_size]
