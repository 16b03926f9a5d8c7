"""The turns of one epoch: which rows of which source stand together, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qvl.fusion import SourceSpec, draw_rows, quotas
from qvl.runtime.seeding import rng

__all__ = ["EpochPlan", "Ticket", "plan_epoch"]


class Ticket(NamedTuple):
    """Everything that a worker has to know to make one user turn.

    It travels with the index, so that no worker holds a state that could be out of date.

    Attributes:
        epoch: Number of the epoch, from 0.
        source: Number of the source.
        rows: Rows of the turn, by their positions among the rows in use.
        copies: How often each row was given before in this epoch.
        progress: Share of the training that is done, 0 to 1.
        augment: False leaves the pictures as they are.
        filler: The turn stands there once more with nothing supervised, to fill up a step.
    """

    epoch: int
    source: int
    rows: tuple[int, ...]
    copies: tuple[int, ...]
    progress: float = 0.0
    augment: bool = True
    filler: bool = False


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """Turns of one epoch, 8 bytes a row and 10 a turn.

    Attributes:
        epoch: Its number.
        sources: (T,) number of the source of each turn.
        starts: (T + 1,) where the rows of each turn begin.
        rows: (R,) row numbers.
        copies: (R,) how often each row was given before in this epoch.
    """

    epoch: int
    sources: npt.NDArray[np.int16]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    copies: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """Return the number of turns."""
        return len(self.sources)

    def ticket(self, turn: int) -> Ticket:
        """Return the ticket of a turn.

        Raises:
            IndexError: There is no such turn.
        """
        if not 0 <= turn < len(self):
            raise IndexError(f"the epoch has {len(self)} user turns, got {turn}")
        part = slice(self.starts[turn], self.starts[turn + 1])
        rows, copies = tuple(self.rows[part].tolist()), tuple(self.copies[part].tolist())
        return Ticket(self.epoch, int(self.sources[turn]), rows, copies)


def plan_epoch(
    specs: Sequence[SourceSpec], sizes: Sequence[int], *, epoch: int, seed: int, shuffle: bool = True
) -> EpochPlan:
    """Plan an epoch: a function of the arguments and of nothing else.

    Rows of one source are grouped in the order in which they are drawn; every row that is drawn stands in exactly one
    turn, the last turn of a source may be short. The turns of several sources are shuffled together.

    Args:
        specs: The sources.
        sizes: Rows of one turn of each source.
        epoch: Number of the epoch, from 0.
        seed: Seed of the run.
        shuffle: False keeps the order of the files, one after the other.
    """
    given = quotas(specs)
    orders = [partial(_order, seed, epoch, spec.name) if shuffle else None for spec in specs]
    drawn = [draw_rows(spec, given[spec.name], order) for spec, order in zip(specs, orders, strict=True)]
    counts = [_turn_sizes(len(rows), size) for (rows, _), size in zip(drawn, sizes, strict=True)]
    sources = np.repeat(np.arange(len(specs), dtype=np.int16), [len(count) for count in counts])
    lengths = np.concatenate(counts)
    rows, copies = (np.concatenate([pair[part] for pair in drawn]) for part in (0, 1))
    if shuffle and len(specs) > 1:
        order = rng(seed, epoch, "/turns", 0, 0).permutation(len(lengths))
        first = np.cumsum(lengths) - lengths
        picked = np.repeat(first[order], lengths[order]) + _count_up(lengths[order])
        sources, lengths, rows, copies = sources[order], lengths[order], rows[picked], copies[picked]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return EpochPlan(epoch, sources, starts, rows, copies)


def num_turns(specs: Sequence[SourceSpec], sizes: Sequence[int]) -> list[int]:
    """Return the turns that each source gives to any epoch."""
    given = quotas(specs)
    return [-(-given[spec.name] // size) for spec, size in zip(specs, sizes, strict=True)]


def _order(seed: int, epoch: int, name: str, copy: int) -> np.random.Generator:
    """Return the generator that permutes one copy of a source in one epoch."""
    return rng(seed, epoch, f"{name}/order", 0, copy)


def _turn_sizes(rows: int, size: int) -> npt.NDArray[np.int64]:
    full, rest = divmod(rows, size)
    return np.array([size] * full + [rest] * (rest > 0), dtype=np.int64)


def _count_up(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return 0, 1, ..., length - 1 of each length, one after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - lengths, lengths)
