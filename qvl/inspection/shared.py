"""Pictures that stand in several rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["repeated_pictures"]

Place = tuple[int, int]
"""(number of the file, number of the row), both from 0."""


def repeated_pictures(files: Sequence[npt.NDArray[np.uint64]]) -> Iterator[tuple[Place, Place]]:
    """Yield (place, first place) of every picture that was there before; the rows of a file come in their order.

    Args:
        files: A number for the picture of each row of each file, 0 for a row without one.
    """
    if not files:
        return
    pictures = np.concatenate(files)
    order = np.argsort(pictures, kind="stable")
    values = pictures[order]
    is_new = np.concatenate([[True], values[1:] != values[:-1]])
    firsts = order[np.maximum.accumulate(np.where(is_new, np.arange(len(order)), 0))]
    again = np.flatnonzero(~is_new & (values != 0))
    starts = np.cumsum([0, *map(len, files)])
    for place in again[np.argsort(order[again])].tolist():
        yield _place(int(order[place]), starts), _place(int(firsts[place]), starts)


def _place(row: int, starts: npt.NDArray[np.int64]) -> Place:
    file = int(np.searchsorted(starts, row, side="right")) - 1
    return file, row - int(starts[file])
