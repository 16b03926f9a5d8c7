"""Plan the batches of an epoch for all processes at once: which turns meet in which step, and on which process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

__all__ = ["BatchPlan", "Batching", "num_batches", "padding_share", "plan_batches", "useful_share"]

Batching = Literal["random", "exact", "grouped"]

_MEGABATCH_STEPS = 512  # 128 keep 98 % of 8 processes useful, 512 keep 99.4 %: room for lengths that are estimates
_NUM_SHUFFLES = 16


@dataclass(frozen=True, slots=True, eq=False)
class BatchPlan:
    """Batches of an epoch. In a micro step every process has one batch; all turns of the step are of one kind.

    Attributes:
        turns: (M, world_size, batch_size) int32, numbers of turns, -1 where a batch is short.
        filler: (M, world_size, batch_size) bool. The turn stands there once more, with nothing supervised, because the
            process would have no batch otherwise.
    """

    turns: np.ndarray
    filler: np.ndarray

    def __len__(self) -> int:
        """Return the number of micro steps, the same for every process."""
        return len(self.turns)

    def batches(self, rank: int) -> Iterator[list[tuple[int, bool]]]:
        """Yield the batches of one process as lists of (turn, whether it is a filler); none is empty."""
        for turns, filler in zip(self.turns[:, rank], self.filler[:, rank], strict=True):
            there = turns >= 0
            yield list(zip(turns[there].tolist(), filler[there].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Steps:
    """Micro steps before their turns are dealt to processes.

    Attributes:
        turns: (N,) numbers of turns, step after step.
        sizes: (M,) turns of each step, at least one.
        kinds: (M,) kind of each step.
    """

    turns: np.ndarray
    sizes: np.ndarray
    kinds: np.ndarray

    @property
    def owners(self) -> np.ndarray:
        """(N,) step of each turn."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def places(self) -> np.ndarray:
        """(N,) place of each turn in its step, from 0."""
        starts = np.cumsum(self.sizes) - self.sizes
        places: np.ndarray = np.arange(len(self.turns)) - np.repeat(starts, self.sizes)
        return places


def num_batches(counts: Sequence[int], *, batch_size: int, world_size: int) -> int:
    """Return the micro steps of an epoch; they depend on the number of turns of each kind and on nothing else.

    Args:
        counts: Turns of each kind; [N] if all are alike.
        batch_size: Turns of one batch.
        world_size: Number of processes.
    """
    return sum(-(-count // (batch_size * world_size)) for count in counts)


def plan_batches(
    lengths: np.ndarray,
    *,
    batching: Batching,
    batch_size: int,
    world_size: int,
    accumulation: int,
    rng: np.random.Generator,
    kinds: np.ndarray | None = None,
) -> BatchPlan:
    """Deal the turns of an epoch, which come in shuffled order, to steps and processes.

    Every turn stands in the plan once, and again only as a filler; no process is without a batch in any step.

    - `random` keeps the order: each step takes the next turns, and the processes draw them in rotation.
    - `exact` deals the turns of each optimiser step anew by length: it holds the same turns as with `random`, so the
      sum of its gradients is the same. Without kinds, step j holds turns j * E to (j + 1) * E - 1 with
      E = world_size * batch_size * accumulation, on any number of processes with this E.
    - `grouped` sorts the turns of at least 512 steps by length (of all, if there are fewer), makes steps of neighbours
      and shuffles the steps of the epoch. Optimiser steps hold other turns than with `random`.

    Turns of different kinds never share a step. A step takes the next turns of its kind and stands where the middle one
    of them came; so with several kinds an optimiser step holds other turns than without kinds.

    Args:
        lengths: (N,) tokens of each turn; `random` reads only how many there are.
        batching: How to deal.
        batch_size: Turns of one batch.
        world_size: Number of processes.
        accumulation: Micro steps of one optimiser step.
        rng: Shuffles the steps of `grouped`; the other two draw nothing.
        kinds: (N,) small numbers from 0 up, or None if all turns are alike. Kinds are what makes processes run
            different layers, such as turns with and without pictures.

    Raises:
        ValueError: An argument is out of its range, or `kinds` does not fit `lengths`.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    kinds = np.zeros(len(lengths), dtype=np.int64) if kinds is None else np.asarray(kinds, dtype=np.int64)
    _check(lengths, kinds, batching, {"batch_size": batch_size, "world_size": world_size, "accumulation": accumulation})
    steps = _in_order(kinds, batch_size, world_size, accumulation)
    if batching == "random":
        rows, ranks = np.divmod(steps.places, world_size)
        return _deal(steps, ranks, rows, (world_size, batch_size))
    if batching == "exact":
        optimiser_step = np.arange(len(steps.sizes)) // accumulation
        pools = optimiser_step * (kinds.max(initial=0) + 1) + steps.kinds
    else:
        pools = _megabatches(steps.kinds)
    steps = _sorted_inside(steps, pools, lengths)
    plan = _deal(steps, *_runs(steps, world_size, accumulation), (world_size, batch_size))
    return plan if batching == "exact" else _shuffled(plan, lengths, rng)


def useful_share(plan: BatchPlan, lengths: np.ndarray) -> float:
    """Return the share of the machine's work that goes into real tokens, if the processes meet after every micro step.

    Args:
        plan: Batches of an epoch.
        lengths: (N,) tokens of each turn.

    Returns:
        Real tokens / (world_size x padded tokens of the slowest process, summed over steps); 1 for an empty plan.
    """
    slowest = int(_padded(plan, lengths).max(axis=1).sum()) * plan.turns.shape[1]
    return int(np.sum(lengths)) / slowest if slowest else 1.0


def padding_share(plan: BatchPlan, lengths: np.ndarray) -> float:
    """Return (padding + fillers) / all tokens that are computed; arguments as of `useful_share`."""
    padded = int(_padded(plan, lengths).sum())
    return 1.0 - int(np.sum(lengths)) / padded if padded else 0.0


def _check(lengths: np.ndarray, kinds: np.ndarray, batching: str, sizes: dict[str, int]) -> None:
    if batching not in get_args(Batching):
        raise ValueError(f"batching must be one of {', '.join(get_args(Batching))}, got {batching!r}")
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    if lengths.ndim != 1 or kinds.shape != lengths.shape:
        raise ValueError(f"lengths and kinds must have the same shape (N,), got {lengths.shape} and {kinds.shape}")
    if kinds.min(initial=0) < 0:
        raise ValueError(f"kinds are numbers from 0 up, got {kinds.min()}")


def _in_order(kinds: np.ndarray, batch_size: int, world_size: int, accumulation: int) -> _Steps:
    """Cut the turns of each kind into steps; a step stands where its middle turn came."""
    queues = [np.flatnonzero(kinds == kind) for kind in range(kinds.max(initial=0) + 1)]
    cuts = [_step_sizes(len(queue), batch_size, world_size, accumulation) for queue in queues]
    sizes = np.concatenate(cuts)
    turns = np.concatenate(queues)
    starts = np.cumsum(sizes) - sizes
    order = np.argsort(turns[starts + sizes // 2])
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    turns = turns[np.argsort(np.repeat(place, sizes), kind="stable")]
    return _Steps(turns, sizes[order], np.repeat(np.arange(len(cuts)), [len(cut) for cut in cuts])[order])


def _step_sizes(count: int, batch_size: int, world_size: int, accumulation: int) -> np.ndarray:
    """Return the turns of each step of one kind.

    All steps are full but for the last. If it has too few turns for the processes, the step before it lends some, but
    not beyond the optimiser step: the turns of that must not depend on the number of processes.
    """
    full = batch_size * world_size
    sizes = np.full(num_batches([count], batch_size=batch_size, world_size=world_size), full)
    if count % full:
        sizes[-1] = count % full
        if (len(sizes) - 1) % accumulation and batch_size > 1:
            lent = max(world_size - count % full, 0)
            sizes[-2:] += np.array([-lent, lent])
    return sizes


def _megabatches(kinds: np.ndarray) -> np.ndarray:
    """Return (M,) the pool of each step: consecutive steps of one kind, `_MEGABATCH_STEPS` or more if there are."""
    pools = np.zeros_like(kinds)
    for kind in np.unique(kinds):
        mine = np.flatnonzero(kinds == kind)
        num_pools = max(1, len(mine) // _MEGABATCH_STEPS)
        pools[mine] = pools.max() + 1 + np.arange(len(mine)) * num_pools // len(mine)
    return pools


def _sorted_inside(steps: _Steps, pools: np.ndarray, lengths: np.ndarray) -> _Steps:
    """Put the turns of each pool of steps into its steps again, the longest first; sizes stay."""
    pool = pools[steps.owners]
    turns = np.empty_like(steps.turns)
    turns[np.argsort(pool, kind="stable")] = steps.turns[np.lexsort((-lengths[steps.turns], pool))]
    return _Steps(turns, steps.sizes, steps.kinds)


def _runs(steps: _Steps, world_size: int, accumulation: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) rank and (N,) row of each turn: every process gets a run of neighbours, shorter runs come first.

    The order of the processes turns round from step to step and begins with the next one in each optimiser step; or the
    first process would get the longest turns always.
    """
    short, num_longer = np.divmod(steps.sizes[steps.owners], world_size)
    later = steps.places - (world_size - num_longer) * short
    ranks, rows = np.divmod(steps.places, np.maximum(short, 1))
    later_ranks, later_rows = np.divmod(later, short + 1)
    ranks = np.where(later < 0, ranks, world_size - num_longer + later_ranks)
    optimiser_step, micro_step = np.divmod(steps.owners, accumulation)
    ranks = np.where(micro_step % 2, world_size - 1 - ranks, ranks)
    return (ranks + optimiser_step) % world_size, np.where(later < 0, rows, later_rows)


def _deal(steps: _Steps, ranks: np.ndarray, rows: np.ndarray, shape: tuple[int, int]) -> BatchPlan:
    """Put each turn into its place; a process without any repeats the last turn of the step."""
    turns = np.full((len(steps.sizes), *shape), -1, dtype=np.int32)
    filler = np.zeros(turns.shape, dtype=bool)
    turns[steps.owners, ranks, rows] = steps.turns
    idle_step, idle_rank = np.nonzero(turns[:, :, 0] < 0)
    turns[idle_step, idle_rank, 0] = steps.turns[np.cumsum(steps.sizes) - 1][idle_step]
    filler[idle_step, idle_rank, 0] = True
    return BatchPlan(turns, filler)


def _shuffled(plan: BatchPlan, lengths: np.ndarray, rng: np.random.Generator) -> BatchPlan:
    """Shuffle whole steps; of some shuffles, take the one whose step lengths tell the least about the next one."""
    costs = _padded(plan, lengths).max(axis=1)
    costs = costs - costs.mean() if len(costs) else costs
    shuffles = (rng.permutation(len(plan)) for _ in range(_NUM_SHUFFLES))
    order = min(shuffles, key=lambda shuffle: abs(float(costs[shuffle][:-1] @ costs[shuffle][1:])))
    return BatchPlan(plan.turns[order], plan.filler[order])


def _padded(plan: BatchPlan, lengths: np.ndarray) -> np.ndarray:
    """Return (M, world_size) tokens of each batch: its number of turns x the longest of them."""
    there = plan.turns >= 0
    longest = np.where(there, lengths[plan.turns], 0).max(axis=2)
    return np.asarray(there.sum(axis=2) * longest)
