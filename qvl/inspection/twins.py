"""Objects of one picture that are there twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qvl.geometry import overlap
from qvl.records import Record, category

__all__ = ["find_twins"]

_TUBE = 0.01  # half width of the tube around a line, as a share of the longer side of the picture
_PAD = 1e-3  # pixels by which bounds are grown, so that straight lines have some

Bounds = tuple[float, float, float, float]


def find_twins(record: Record, *, least: float) -> list[tuple[int, int, float]]:
    """Return pairs of objects of the same category and kind of shape that cover nearly the same place.

    Args:
        record: The row.
        least: Overlap from which on a pair is told, above 0 to 1; both of the bounds and of the shapes themselves.

    Returns:
        (number of the first, number of the second, overlap), numbers from 0, in their order.
    """
    objects = record.objects
    tolerance = _TUBE * max(record.width, record.height)
    found = []
    for one, other in _close_pairs([item.shape.bounds() for item in objects], least):
        a, b = objects[one], objects[other]
        if a.shape.key != b.shape.key or category(a.desc) != category(b.desc):
            continue
        if (share := overlap(a.shape, b.shape, line_tolerance=tolerance)) >= least:
            found.append((one, other, share))
    return sorted(found)


def _close_pairs(bounds: Sequence[Bounds], least: float) -> Iterator[tuple[int, int]]:
    """Yield pairs whose bounds overlap enough; from left to right, so that most pairs are never looked at."""
    order = sorted(range(len(bounds)), key=bounds.__getitem__)
    for place, one in enumerate(order):
        left, _, right, _ = bounds[one]
        farthest = left + (1 - least) * (right - left) + 3 * _PAD  # beyond it too much of the first is uncovered
        for other in order[place + 1 :]:
            if bounds[other][0] > farthest:
                break
            if _share(bounds[one], bounds[other]) >= least * (1 - 1e-6):
                yield min(one, other), max(one, other)


def _share(a: Bounds, b: Bounds) -> float:
    """Return intersection over union of two bounds, grown a little."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + 2 * _PAD
    height = min(a[3], b[3]) - max(a[1], b[1]) + 2 * _PAD
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(one[2] - one[0] + 2 * _PAD) * (one[3] - one[1] + 2 * _PAD) for one in (a, b)]
    return width * height / (sum(areas) - width * height)
