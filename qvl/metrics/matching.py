"""Which predicted object is which true one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from qvl.metrics.objects import Flags, Integers, Labelled, Objects, pack
from qvl.metrics.overlaps import LINE_TOLERANCE, Overlaps, measure

Method: TypeAlias = Literal["overlap", "score", "optimal"]
"""How pairs are taken: `overlap`: the best overlap first; `score`: the surest prediction first, each takes the truth it
overlaps best that is still free; `optimal`: as many pairs as possible, among these the greatest sum of overlaps."""

METHODS: Final[tuple[Method, ...]] = get_args(Method)

_Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Matching:
    """Pairs of truth and prediction, one to one.

    Attributes:
        pairs: (index of the truth, index of the prediction, overlap), the best overlap first.
    """

    pairs: tuple[tuple[int, int, float], ...]


def match(
    truth: Sequence[Labelled],
    predicted: Sequence[Labelled],
    *,
    threshold: float,
    line_tolerance: float = LINE_TOLERANCE,
    same_category: bool = True,
    method: Method = "overlap",
) -> Matching:
    """Pair the true and the predicted objects of one picture.

    Equal overlaps are taken in the order of the objects' values and only then of their indices, so neither list's order
    changes how many pairs there are. Equal scores are taken in the order of the predictions.

    Args:
        truth: Annotated objects.
        predicted: Predicted objects of the same picture.
        threshold: Smallest overlap of a pair, in (0, 1].
        line_tolerance: Half the width of the tube around a line, in units of the coordinates, > 0.
        same_category: Whether a pair must have equal categories.
        method: How pairs are taken.

    Returns:
        The pairs; every index at most once on either side.

    Raises:
        ValueError: If `threshold`, `line_tolerance` or `method` is not allowed, or a score is not finite.
    """
    check_settings(threshold=threshold, line_tolerance=line_tolerance, method=method)
    numbers: dict[str, int] = {}
    sides = pack([truth], numbers), pack([predicted], numbers)
    table = measure(*sides, minimum=threshold, line_tolerance=line_tolerance)
    if same_category:
        table = table.where(of_same_category(*sides, table))
    pairs = take_pairs(*sides, table, method=method)
    rows = list(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.value.tolist(), strict=True))
    return Matching(tuple(sorted(rows, key=_by_overlap(*sides))))


def check_settings(*, threshold: float, line_tolerance: float, method: str) -> None:
    """Refuse settings of a matching that all or no pairs would pass.

    Raises:
        ValueError: If `threshold` is not in (0, 1], `line_tolerance` is not positive or `method` is unknown.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold must lie in (0, 1], got {threshold}")
    if not line_tolerance > 0.0:
        raise ValueError(f"line_tolerance must be positive, got {line_tolerance}")
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}, allowed are {', '.join(METHODS)}")


def of_same_category(truth: Objects, predicted: Objects, table: Overlaps) -> Flags:
    """Tell of each entry whether both sides have the same category."""
    return np.asarray(truth.category[table.left] == predicted.category[table.right])


def take_pairs(truth: Objects, predicted: Objects, table: Overlaps, *, method: Method = "overlap") -> Overlaps:
    """Choose pairs among the overlaps of many pictures.

    The pairs that `overlap` takes at a higher threshold are those of a lower one that reach it: one call serves all
    thresholds. The other methods need a call each.

    Args:
        truth: Left side of the table.
        predicted: Right side.
        table: Overlaps that are large enough for a pair.
        method: How pairs are taken.

    Returns:
        The entries that became pairs; every object at most once.

    Raises:
        ValueError: If pairs are taken by score and that of a rival prediction is not finite.
    """
    lone = _has_no_rival(table)  # nearly all entries: no loop of Python sees them
    rest = table.where(~lone)
    rows = list(zip(rest.left.tolist(), rest.right.tolist(), rest.value.tolist(), strict=True))
    if method == "optimal":
        taken = _optimal(truth, rest)
    else:
        order = _by_overlap(truth, predicted) if method == "overlap" else _by_score(predicted)
        taken = _one_to_one(sorted(range(len(rows)), key=lambda number: order(rows[number])), rows)
    return table.where(np.concatenate([np.flatnonzero(lone), np.flatnonzero(~lone)[taken]]))


def _has_no_rival(table: Overlaps) -> Flags:
    """Tell of each entry whether it is the only one of its row and of its column."""
    if not len(table.left):
        return np.empty(0, np.bool_)
    alone_left = np.bincount(table.left)[table.left] == 1
    return np.asarray(alone_left & (np.bincount(table.right)[table.right] == 1))


def _by_overlap(truth: Objects, predicted: Objects) -> Callable[[tuple[int, int, float]], _Key]:
    seen: dict[tuple[int, int], _Key] = {}

    def value(side: int, index: int) -> _Key:
        if (side, index) not in seen:
            item = (truth, predicted)[side].items[index]
            seen[side, index] = (item.category, item.shape.key, item.shape.flat())
        return seen[side, index]

    return lambda row: (-row[2], value(0, row[0]), value(1, row[1]), row)


def _by_score(predicted: Objects) -> Callable[[tuple[int, int, float]], _Key]:
    def key(row: tuple[int, int, float]) -> _Key:
        i, j, value = row
        if not math.isfinite(score := predicted.items[j].score):
            raise ValueError(f"scores must be finite, got {score}")
        return (-score, j, -value, i)

    return key


def _one_to_one(order: Iterable[int], rows: Sequence[tuple[int, int, float]]) -> Integers:
    """Return the numbers of the rows whose two sides are still free when their turn comes."""
    taken_truth: set[int] = set()
    taken_predicted: set[int] = set()
    taken = []
    for number in order:
        i, j, _ = rows[number]
        if i not in taken_truth and j not in taken_predicted:
            taken_truth.add(i)
            taken_predicted.add(j)
            taken.append(number)
    return np.array(taken, dtype=np.intp)


def _optimal(truth: Objects, table: Overlaps) -> Integers:
    """Return the numbers of the entries of the best assignment, picture by picture."""
    from scipy.optimize import linear_sum_assignment

    taken = [np.empty(0, np.intp)]
    picture = truth.picture[table.left]
    for numbers in np.split(np.arange(len(picture)), np.flatnonzero(np.diff(picture)) + 1):
        if not len(numbers):
            continue
        rows, row_of = np.unique(table.left[numbers], return_inverse=True)
        columns, column_of = np.unique(table.right[numbers], return_inverse=True)
        gain = np.zeros((len(rows), len(columns)))
        gain[row_of, column_of] = table.value[numbers] + min(gain.shape)  # one pair more outweighs all overlaps
        entry = np.full(gain.shape, -1)
        entry[row_of, column_of] = numbers
        chosen = entry[linear_sum_assignment(gain, maximize=True)]
        taken.append(chosen[chosen >= 0])
    return np.concatenate(taken)
