"""One way to write each shape: direction and first vertex."""

from __future__ import annotations

import math

import numpy as np

from qvl.geometry.shapes import Box, Points, Polygon, Polyline, Shape


def canonical(shape: Shape) -> Shape:
    """Return the shape in its canonical form; the set of pixels it covers does not change.

    A polygon runs clockwise on the screen (y points down) from its topmost, then leftmost vertex: the smallest (y, x).
    The cyclic order of its vertices is never re-sorted, only its direction and its start are chosen; a last vertex
    equal to the first is dropped while 3 remain. A ring without a direction (its signed area is 0) takes the one that
    sorts first. A line starts at the end with the smaller (x, y); if its ends coincide, the direction that sorts first
    is taken. A box is returned as it is.

    Args:
        shape: Any shape, pixel edges or grid numbers.

    Returns:
        An equal or a new shape of the same type. Twice is the same as once.
    """
    match shape:
        case Box():
            return shape
        case Polygon():
            return Polygon(_ring(_open(shape.points)))
        case Polyline():
            return Polyline(min(shape.points, shape.points[::-1], key=lambda points: points.tolist()))


def _open(ring: Points) -> Points:
    """Drop the closing duplicates."""
    while len(ring) > Polygon.min_points and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    return ring


def _ring(ring: Points) -> Points:
    turn = _turn(ring)
    directions = [ring] * (turn >= 0) + [ring[::-1]] * (turn <= 0)
    starts = [np.roll(way, -start, axis=0) for way in directions for start in _top_left(way)]
    return min(starts, key=lambda points: points[:, ::-1].tolist())


def _turn(ring: Points) -> float:
    """Return twice the signed area: positive is clockwise where y points down.

    `fsum` does not depend on the order of its terms, so a reversed or rotated ring has exactly the same magnitude.
    """
    x, y = ring.T
    return math.fsum(np.concatenate([x * np.roll(y, -1), -y * np.roll(x, -1)]).tolist())


def _top_left(ring: Points) -> list[int]:
    """Return the indices of the vertices with the smallest (y, x); more than one if the ring touches itself there."""
    rows = ring[:, ::-1].tolist()
    first = min(rows)
    return [index for index, row in enumerate(rows) if row == first]
