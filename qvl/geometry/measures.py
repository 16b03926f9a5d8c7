"""Area and overlap of shapes.

One rule for polygons that cross or touch themselves, everywhere: `shapely.make_valid`, which counts an edge that is
walked several times once, and keeps the places from which a ray leaves over an odd number of edges. A bow-tie covers
its two triangles, a ring walked twice what it covers once; spikes and repeated vertices cover nothing.
"""

from __future__ import annotations

import shapely

from qvl.geometry.shapes import Box, Polygon, Polyline, Shape


def area(shape: Shape) -> float:
    """Return the covered area in square units of the coordinates; 0 for a line.

    Args:
        shape: Any shape; a polygon that crosses itself is read by the rule of this module.
    """
    match shape:
        case Box():
            return (shape.x2 - shape.x1) * (shape.y2 - shape.y1)
        case Polygon():
            return float(_region(shape).area)
        case Polyline():
            return 0.0


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
    return _region_iou(_region(a), _region(b))


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


def _region(shape: Box | Polygon) -> shapely.Geometry:
    if isinstance(shape, Box):
        return shapely.box(*shape.bounds())
    region = shapely.polygons(shape.points)
    return region if region.is_valid else shapely.make_valid(region)


def _tube(line: Polyline, tolerance: float) -> shapely.Geometry:
    return shapely.linestrings(line.points).buffer(tolerance, quad_segs=16, cap_style="round", join_style="round")


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
