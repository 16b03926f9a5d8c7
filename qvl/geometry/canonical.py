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
            return Polygon(_ring(opened(shape).points))
        case Polyline():
            points = shape.points.tolist()
            return shape if points <= points[::-1] else Polyline(shape.points[::-1])


def opened(shape: Polygon) -> Polygon:
    """Return the ring without last vertices that are equal to the first, while 3 remain."""
    ring = shape.points
    while len(ring) > Polygon.min_points and ring[0, 0] == ring[-1, 0] and ring[0, 1] == ring[-1, 1]:
        ring = ring[:-1]
    return shape if ring is shape.points else Polygon(ring)


def _ring(ring: Points) -> Points:
    vertices = ring.tolist()
    turn = _turn(vertices)
    directions = [vertices] * (turn >= 0) + [vertices[::-1]] * (turn <= 0)
    starts = [way[start:] + way[:start] for way in directions for start in _top_left(way)]
    return np.array(starts[0] if len(starts) == 1 else min(starts, key=_rows))


def _turn(ring: list[list[float]]) -> float:
    """Return twice the signed area: positive is clockwise where y points down.

    `fsum` does not depend on the order of its terms, so a reversed or rotated ring has exactly the same magnitude.
    """
    pairs = zip(ring, ring[1:] + ring[:1], strict=True)
    return math.fsum(term for (x, y), (next_x, next_y) in pairs for term in (x * next_y, -y * next_x))


def _rows(ring: list[list[float]]) -> list[tuple[float, float]]:
    """Return the vertices as (y, x), which sort from top to bottom."""
    return [(y, x) for x, y in ring]


def _top_left(ring: list[list[float]]) -> list[int]:
    """Return the indices of the vertices with the smallest (y, x); more than one if the ring touches itself there."""
    rows = _rows(ring)
    first = min(rows)
    return [index for index, row in enumerate(rows) if row == first]
