"""How far the objects of two sides overlap: the one place where metrics measure it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from qvl.geometry import Shape, regions
from qvl.metrics.objects import BOX, LINE, Flags, Floats, Integers, Objects

LINE_TOLERANCE: Final = 20.0
"""Half the width of the tube around a line, in units of the 0..1000 grid: 2 % of the picture.

At IoU 0.5 a parallel copy of a long line may then lie 13 units aside (two thirds of the half-width): as strict as for a
box 40 units wide. The reference system used 8, where 5 units, half a percent of the picture, are the most: its scores
of lines are lower and not comparable.
"""

_MAX_PAIRS: Final = 1 << 18
"""Pairs that are looked at in one step: their columns stay in the cache of the processor."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The matrix of overlaps of each picture, all in one list without the entries that are too small.

    Attributes:
        left: (M,) indices into the left side.
        right: (M,) indices into the right side, of the same picture.
        value: (M,) float64, `geometry.overlap` of both, in (0, 1].
    """

    left: Integers
    right: Integers
    value: Floats

    def where(self, chosen: Flags | Integers) -> Overlaps:
        """Return the entries that are chosen."""
        return Overlaps(self.left[chosen], self.right[chosen], self.value[chosen])


def measure(left: Objects, right: Objects, *, minimum: float, line_tolerance: float) -> Overlaps:
    """Return the overlaps of all objects with those of the same picture on the other side.

    Values are those of `geometry.overlap`, to the last bit for two boxes.

    Args:
        left: One side.
        right: The other side of the same pictures; not the very same object, see `iter_overlaps`.
        minimum: Smallest overlap that is listed, in (0, 1].
        line_tolerance: Half the width of the tube around a line, > 0.

    Returns:
        Entries in the order of left, then right.
    """
    return _joined(iter_overlaps(left, right, minimum=minimum, line_tolerance=line_tolerance))


def iter_overlaps(
    left: Objects, right: Objects, *, minimum: float, line_tolerance: float, same_category: bool = False
) -> Iterator[Overlaps]:
    """Yield `measure` part by part, so that thousands of equal objects in a picture do not fill the memory.

    A side against itself has each pair once, the earlier object on the left.

    Args:
        left: One side.
        right: The other side of the same pictures.
        minimum: Smallest overlap that is listed, in (0, 1].
        line_tolerance: Half the width of the tube around a line, > 0.
        same_category: Whether entries of different categories are left out.
    """
    reach_left, reach_right = _reach(left, line_tolerance), _reach(right, line_tolerance)
    for i, j in _pairs(left, right):
        if same_category:
            keep = left.category[i] == right.category[j]
            i, j = i[keep], j[keep]
        for low, high in ((0, 2), (1, 3)):  # first aside, then above or below; most pairs end here
            keep = np.minimum(reach_left[high][i], reach_right[high][j]) > np.maximum(
                reach_left[low][i], reach_right[low][j]
            )
            i, j = i[keep], j[keep]
        keep = (left.kind[i] == LINE) == (right.kind[j] == LINE)
        i, j = i[keep], j[keep]
        are_boxes = (left.kind[i] == BOX) & (right.kind[j] == BOX)
        value = np.empty(len(i))
        value[are_boxes] = _box_ious(left.bounds[i[are_boxes]], right.bounds[j[are_boxes]])
        others = ~are_boxes
        if others.any():
            value[others] = _region_ious(left, i[others], right, j[others], minimum, line_tolerance)
        keep = value >= minimum
        yield Overlaps(i[keep], j[keep], value[keep])


def _joined(parts: Iterator[Overlaps]) -> Overlaps:
    found = list(parts)
    if not found:
        return Overlaps(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0))
    left, right = [part.left for part in found], [part.right for part in found]
    return Overlaps(np.concatenate(left), np.concatenate(right), np.concatenate([part.value for part in found]))


def _pairs(left: Objects, right: Objects) -> Iterator[tuple[Integers, Integers]]:
    """Yield the indices of all pairs within a picture, at most `_MAX_PAIRS` or those of one object at a time."""
    itself = left is right
    start = np.arange(1, len(left.items) + 1) if itself else np.searchsorted(right.picture, left.picture, side="left")
    counts = np.searchsorted(right.picture, left.picture, side="right") - start
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        done = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, done + _MAX_PAIRS, side="right")))
        part = counts[first:last]
        i = np.repeat(np.arange(first, last), part)
        j = np.arange(len(i)) + np.repeat(start[first:last] - (ends[first:last] - part - done), part)
        yield i, j
        first = last


def _reach(objects: Objects, line_tolerance: float) -> tuple[Floats, ...]:
    """Return x1, y1, x2, y2 of what each object covers, columns that lie in one piece."""
    margin = np.where(objects.kind == LINE, line_tolerance, 0.0)
    return tuple(
        np.ascontiguousarray(column + sign * margin)
        for column, sign in zip(objects.bounds.T, (-1, -1, 1, 1), strict=True)
    )


def _box_ious(a: Floats, b: Floats) -> Floats:
    """Return the IoU of boxes (M, 4), the steps in the order of `geometry.box_iou`."""
    return _ratio(_shared(a, b), _box_area(a), _box_area(b))


def _shared(a: Floats, b: Floats) -> Floats:
    """Return the area that boxes (M, 4) share."""
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    return np.asarray(np.maximum(width, 0.0) * np.maximum(height, 0.0))


def _box_area(boxes: Floats) -> Floats:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def _region_ious(
    left: Objects, i: Integers, right: Objects, j: Integers, minimum: float, line_tolerance: float
) -> Floats:
    """Return the IoU of what objects cover; 0 where it cannot reach `minimum`."""
    numbers: dict[Shape, int] = {}  # an answer may say the same shape thousands of times: each pair is measured once
    first, second = _numbered(left, i, numbers), _numbered(right, j, numbers)
    pairs, pair_of = np.unique(first * len(numbers) + second, return_inverse=True)
    first, second = np.divmod(pairs, len(numbers))
    covered = regions(list(numbers), line_tolerance=line_tolerance)
    area, bounds = shapely.area(covered), shapely.bounds(covered)
    smaller, larger = np.minimum(area[first], area[second]), np.maximum(area[first], area[second])
    most = np.minimum(smaller, _shared(bounds[first], bounds[second])) * (1 + 1e-9)
    able = most >= minimum * larger  # a union is as large as its larger part at least
    first, second = first[able], second[able]
    value = np.zeros(len(pairs))
    common = shapely.area(shapely.intersection(covered[first], covered[second]))
    value[able] = _ratio(common, area[first], area[second])
    return np.asarray(value[pair_of])


def _numbered(objects: Objects, indices: Integers, numbers: dict[Shape, int]) -> Integers:
    """Return the number of the shape of each object; shapes that are new are added to `numbers`."""
    at, of = np.unique(indices, return_inverse=True)
    found = [numbers.setdefault(objects.items[k].shape, len(numbers)) for k in at.tolist()]
    return np.array(found, dtype=np.intp)[of]


def _ratio(intersection: Floats, area_a: Floats, area_b: Floats) -> Floats:
    union = area_a + area_b - intersection
    return np.minimum(np.divide(intersection, union, out=np.zeros_like(union), where=union > 0), 1.0)
