"""The way of a pen around a shape, and what of it can be seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from qvl.geometry import Box, Polygon, Polyline, Shape

__all__ = ["Points", "anchors", "outline", "visible_pieces"]

Points = npt.NDArray[np.float64]


def outline(shape: Shape) -> Points:
    """Return the points of the pen's way, (P, 2); of a region the first one comes again at the end."""
    match shape:
        case Box(x1, y1, x2, y2):
            return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2), (x1, y1)], dtype=np.float64)
        case Polygon(points):
            return np.concatenate([points, points[:1]])
        case Polyline(points):
            return points


def visible_pieces(way: Points, size: tuple[float, float], *, margin: float) -> list[Points]:
    """Return what is seen of a pen's way, in pixel edges of the canvas; [] for nothing.

    A model may write coordinates in the millions; nothing that draws must see them.

    Args:
        way: (P, 2), the points.
        size: (width, height) of the canvas.
        margin: Length of the way beyond the canvas that is kept, so that a wide pen is not seen to end.
    """
    low, high = np.zeros(2), np.array(size, dtype=np.float64)
    if (way == way[0]).all():  # a line that shrank to a point
        return [way[:2]] if (low <= way[0]).all() and (way[0] <= high).all() else []
    if not shapely.linestrings(way).intersects(shapely.box(*low, *high)):
        return []
    if (way >= low - margin).all() and (way <= high + margin).all():
        return [way]
    clipped = shapely.clip_by_rect(shapely.linestrings(way), *(low - margin), *(high + margin))
    parts = shapely.get_parts(clipped)
    return [shapely.get_coordinates(part) for part in parts if shapely.length(part) > 0]


def anchors(shape: Shape, pieces: list[Points], *, most: int) -> Points:
    """Return the points that a tag may stand at, (A, 2), the best one first: along a line, from the top left else.

    Args:
        shape: The shape that the pieces are of.
        pieces: What is seen of it, at least one.
        most: How many are wanted.
    """
    points = np.concatenate(pieces)
    order = np.arange(len(points)) if isinstance(shape, Polyline) else np.argsort(points.sum(axis=1), kind="stable")
    return points[order[:most]]
