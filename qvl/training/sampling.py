"""Which user turns make which batch on which process."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qvl.data import Ticket, TurnDataset
from qvl.data.batching import Batching, BatchPlan, num_batches, plan_batches
from qvl.runtime.seeding import rng
from qvl.training.lengths import TurnLengths

__all__ = ["Machine", "TurnBatches"]


@dataclass(frozen=True, slots=True)
class Machine:
    """How a training is spread.

    Attributes:
        batch_size: Turns of one batch on one process.
        accumulation: Micro steps of one optimiser step.
        rank: Number of this process.
        world_size: Number of processes.
    """

    batch_size: int
    accumulation: int
    rank: int = 0
    world_size: int = 1


class TurnBatches:
    """Batches of one process, as lists of tickets: together the processes see every turn of an epoch exactly once.

    Turns with and without pictures never meet in one step: all processes would have to run the vision encoder or none.
    """

    drop_last = False

    def __init__(
        self,
        dataset: TurnDataset,
        lengths: TurnLengths,
        *,
        machine: Machine,
        batching: Batching,
        limit: int,
        total_steps: int | None = None,
        epochs: float = 1.0,
    ) -> None:
        """Say who asks.

        Args:
            dataset: The turns; its epoch is the one that is dealt.
            lengths: Of its rows.
            machine: Processes and batches.
            batching: See `qvl.data.batching.plan_batches`.
            limit: Turns that augmentation would make longer than so many tokens are not augmented.
            total_steps: Optimiser steps of the whole training; None if `epochs` decides.
            epochs: Passes over the data.
        """
        self.dataset = dataset
        self.lengths = lengths
        self.machine = machine
        self.batching = batching
        self.limit = limit
        self.total_steps = total_steps or max(1, math.ceil(self.steps_per_epoch * epochs))
        self.num_kept_plain = 0
        self._plan: tuple[int, BatchPlan] | None = None

    @property
    def batch_size(self) -> int:
        """Turns of one batch."""
        return self.machine.batch_size

    @property
    def accumulation(self) -> int:
        """Micro steps of one optimiser step."""
        return self.machine.accumulation

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one epoch; the last one may have fewer micro steps."""
        return math.ceil(len(self) / self.machine.accumulation)

    def __len__(self) -> int:
        """Return the number of batches."""
        turns = self.dataset.turns_of_parts()
        texts = [count for count, kind in zip(turns, self._kinds, strict=True) if kind]
        counts = [sum(turns) - sum(texts), sum(texts)]
        return num_batches(counts, batch_size=self.machine.batch_size, world_size=self.machine.world_size)

    def __iter__(self) -> Iterator[list[Ticket]]:
        """Yield the batches of this process in the data set's epoch."""
        epoch = self.dataset.epoch
        turns, plan = self.dataset.plan(epoch), self.plan(epoch)
        for number, batch in enumerate(plan.batches(self.machine.rank)):
            step = epoch * self.steps_per_epoch + number // self.machine.accumulation
            progress = min(step / self.total_steps, 1.0)
            yield [
                self._fitting(turns.ticket(turn)._replace(progress=progress, filler=filler)) for turn, filler in batch
            ]

    def plan(self, epoch: int) -> BatchPlan:
        """Return the batches of all processes in an epoch; those of the last epoch asked for are kept."""
        if self._plan is None or self._plan[0] != epoch:
            self._plan = (epoch, self._made(epoch))
        return self._plan[1]

    def _made(self, epoch: int) -> BatchPlan:
        turns = self.dataset.plan(epoch)
        progress = min(epoch * self.steps_per_epoch / self.total_steps, 1.0)
        lengths = np.zeros(len(turns)) if self.batching == "random" else self.lengths.epoch(turns, progress=progress)
        return plan_batches(
            lengths,
            batching=self.batching,
            batch_size=self.machine.batch_size,
            world_size=self.machine.world_size,
            accumulation=self.machine.accumulation,
            rng=rng(self.dataset.context.seed, epoch, "/batches", 0, 0),
            kinds=np.array(self._kinds)[turns.sources],
        )

    @property
    def _kinds(self) -> list[int]:
        """1 for a source without pictures."""
        return [int(part.builder.mode == "chat") for part in self.dataset.parts]

    def _fitting(self, ticket: Ticket) -> Ticket:
        """Switch augmentation off for a turn that it would make too long."""
        if self.lengths.bound(ticket) <= self.limit or self.lengths.turn(ticket) <= self.limit:
            return ticket
        self.num_kept_plain += 1
        return ticket._replace(augment=False)
