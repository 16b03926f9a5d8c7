"""Area, length and overlap of shapes.

One rule for polygons that cross or touch themselves, everywhere: `shapely.make_valid`, which counts an edge that is
walked several times once, and keeps the places from which a ray leaves over an odd number of edges. A bow-tie covers
its two triangles, a ring walked twice what it covers once; spikes and repeated vertices cover nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from qvl.geometry.canonical import canonical
from qvl.geometry.shapes import Box, Points, Polygon, Polyline, Shape


def covered(shape: Box | Polygon) -> shapely.Geometry:
    """Return what a box or polygon covers as a valid geometry of shapely, by the rule of this module."""
    if isinstance(shape, Box):
        return shapely.box(*shape.bounds())
    region = shapely.polygons(shape.points)
    return region if region.is_valid else shapely.make_valid(region)


def area(shape: Shape) -> float:
    """Return the covered area in square units of the coordinates; 0 for a line.

    Args:
        shape: Any shape; a polygon that crosses itself is read by the rule of this module.
    """
    match shape:
        case Box():
            return (shape.x2 - shape.x1) * (shape.y2 - shape.y1)
        case Polygon():
            return float(covered(shape).area)
        case Polyline():
            return 0.0


def length(line: Polyline) -> float:
    """Return the length of a line along its vertices, in units of the coordinates."""
    steps = np.diff(line.points, axis=0)
    return float(np.hypot(steps[:, 0], steps[:, 1]).sum())


def min_area_rectangle(points: Points) -> Polygon:
    """Return the rectangle of least area around points, turned as it needs to be.

    Args:
        points: (P >= 1, 2), in any order.

    Returns:
        Its four corners, clockwise on the screen (y points down). Points on one line give a rectangle without area
        along the line, a single point four equal corners. Among equals it is the one turned least from upright.

    Raises:
        ValueError: If the shape of `points` is another, or a coordinate is not finite or too large.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ValueError(f"points must have shape (P >= 1, 2), got {points.shape}")
    hull = shapely.get_coordinates(shapely.convex_hull(shapely.multipoints(points)))
    along = _directions(hull)  # one side lies on an edge of the hull
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    low, high = _extent(hull, along)
    near, far = _extent(hull, across)
    best = np.lexsort((np.abs(along[:, 1]), (high - low) * (far - near)))[0]
    sides = np.array(
        [[low[best], near[best]], [high[best], near[best]], [high[best], far[best]], [low[best], far[best]]]
    )
    return Polygon(hull[0] + sides[:, :1] * along[best] + sides[:, 1:] * across[best])


def box_iou(a: Box, b: Box) -> float:
    """Return intersection over union of two boxes, in [0, 1]."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    return _ratio(width * height, area(a), area(b))


def polygon_iou(a: Box | Polygon, b: Box | Polygon) -> float:
    """Return exact intersection over union of two regions, in [0, 1].

    Args:
        a: Region; a box is its rectangle. A polygon that crosses itself is read by the rule of this module.
        b: Region, likewise.

    Returns:
        0 also when both regions are without area.
    """
    if _apart(a, b, margin=0.0):
        return 0.0
    return _region_iou(covered(a), covered(b))


def tube_iou(a: Polyline, b: Polyline, *, tolerance: float) -> float:
    """Return intersection over union of the tubes around two lines, in [0, 1].

    A tube is everything within `tolerance` of the line: its ends and its bends are round. So a line and its reverse
    have the same tube, and a line shrunk to a point has a disc.

    Args:
        a: Line.
        b: Line, in the same coordinates.
        tolerance: Half the width of the tube in units of the coordinates, > 0.

    Raises:
        ValueError: If `tolerance` is not positive.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    if _apart(a, b, margin=2 * tolerance):
        return 0.0
    return _region_iou(_tube(a, tolerance), _tube(b, tolerance))


def overlap(a: Shape, b: Shape, *, line_tolerance: float) -> float:
    """Return how well two shapes agree, in [0, 1].

    Args:
        a: Any shape.
        b: Any shape, in the same coordinates.
        line_tolerance: Half the width of the tube around a line, see `tube_iou`.

    Returns:
        IoU of the regions for boxes and polygons in any combination, of the tubes for two lines; a line and a region
        never agree (0).

    Raises:
        ValueError: If two lines are compared and `line_tolerance` is not positive.
    """
    match a, b:
        case Polyline(), Polyline():
            return tube_iou(a, b, tolerance=line_tolerance)
        case (Polyline(), _) | (_, Polyline()):
            return 0.0
        case Box(), Box():
            return box_iou(a, b)
        case _:
            return polygon_iou(a, b)


def _directions(hull: Points) -> Points:
    """Return the directions (E, 2) of the edges, each turned by quarters to within 45 degrees of the x axis."""
    edges = np.diff(hull, axis=0)
    if len(edges) == 0:
        return np.array([[1.0, 0.0]])
    edges = np.where(np.abs(edges[:, :1]) < np.abs(edges[:, 1:]), edges[:, ::-1] * (1.0, -1.0), edges)
    edges = np.where(edges[:, :1] < 0, -edges, edges)
    return np.divide(edges, np.hypot(edges[:, :1], edges[:, 1:]))


def _extent(hull: Points, axes: Points) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the least and the greatest position of the corners along each axis, measured from the first corner."""
    x, y = (hull - hull[0]).T
    positions = x[:, None] * axes[:, 0] + y[:, None] * axes[:, 1]
    return positions.min(axis=0), positions.max(axis=0)


def _tube(line: Polyline, tolerance: float) -> shapely.Geometry:
    points = canonical(line).points  # GEOS rounds the way: from the other end the tube differs in the fourth digit
    return shapely.linestrings(points).buffer(tolerance, quad_segs=16, cap_style="round", join_style="round")


def _apart(a: Shape, b: Shape, *, margin: float) -> bool:
    """Tell cheaply that nothing can overlap: the bounds do not touch when one is grown by `margin`."""
    ax1, ay1, ax2, ay2 = a.bounds()
    bx1, by1, bx2, by2 = b.bounds()
    return ax2 + margin < bx1 or bx2 + margin < ax1 or ay2 + margin < by1 or by2 + margin < ay1


def _region_iou(a: shapely.Geometry, b: shapely.Geometry) -> float:
    return _ratio(float(shapely.intersection(a, b).area), float(a.area), float(b.area))


def _ratio(intersection: float, area_a: float, area_b: float) -> float:
    union = area_a + area_b - intersection
    return min(intersection / union, 1.0) if union > 0 else 0.0
