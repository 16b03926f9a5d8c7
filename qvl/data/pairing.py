"""Group the rows of an epoch into user turns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qvl.runtime.seeding import rng

__all__ = ["epoch_order", "group_bounds", "num_groups", "plan_groups"]


def group_bounds(num_rows: int, sizes: Sequence[int]) -> list[int]:
    """Return where the groups of an epoch begin and the last one ends: 0, ..., `num_rows`.

    Args:
        num_rows: Number of rows.
        sizes: Rows of one group. Several sizes share the rows evenly, one after the other: [1, 2] makes single rows of
            the first half and pairs of the second.

    Raises:
        ValueError: A size is below one, or there is none.
    """
    return [*(start for share in _shares(num_rows, sizes) for start in share), num_rows]


def num_groups(num_rows: int, sizes: Sequence[int]) -> int:
    """Return the number of groups of an epoch, without making them; arguments and errors as of `group_bounds`."""
    return sum(len(share) for share in _shares(num_rows, sizes))


def _shares(num_rows: int, sizes: Sequence[int]) -> list[range]:
    """Return the starts of the groups of each size."""
    if not sizes or any(size < 1 for size in sizes):
        raise ValueError(f"group sizes must be at least 1, got {list(sizes)}")
    edges = [num_rows * number // len(sizes) for number in range(len(sizes) + 1)]
    return [range(first, end, size) for size, first, end in zip(sizes, edges, edges[1:], strict=False)]


def plan_groups(num_rows: int, sizes: Sequence[int], order: np.random.Generator | None) -> list[np.ndarray]:
    """Cut the rows, permuted by `order` or as they are, into groups.

    Returns:
        Groups of row numbers. Every row stands in exactly one group; the last group of each size may be short.
    """
    rows = np.arange(num_rows) if order is None else order.permutation(num_rows)
    return np.split(rows, group_bounds(num_rows, sizes)[1:-1])


def epoch_order(seed: int, epoch: int, name: str) -> np.random.Generator:
    """Return the generator that permutes the rows of one data set in one epoch."""
    return rng(seed, epoch, f"{name}/order", 0, 0)
