"""What of a shape lies within a convex region, and how large a share that is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from qvl.geometry.affine import outline
from qvl.geometry.measures import area, covered, length
from qvl.geometry.shapes import Box, Points, Polygon, Polyline, Shape

Bounds: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2."""

Plane: TypeAlias = tuple[float, float, float]
"""A normal of length 1, pointing inwards, and an offset: inside is where nx * x + ny * y >= offset."""

_TOLERANCE: Final = 1e-9
"""Pixels, or square pixels, that count as rounding at slanted edges; upright rectangles are exact."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The part of a shape that is seen.

    Attributes:
        shape: The part that stands for the shape; None when nothing is left, or too little.
        coverage: Share of the area that all parts together keep, in [0, 1]; of the length for a line.
    """

    shape: Shape | None
    coverage: float


def rectangle(width: float, height: float) -> Points:
    """Return the corners of a canvas, (4, 2) pixel edges, from the top left one clockwise on the screen."""
    return np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]])


def clip(shape: Shape, region: Points) -> tuple[Shape, ...]:
    """Cut a shape to a convex region and return every part.

    Nothing else is done: no vertex is left out, no part is joined to another.

    Args:
        shape: Any shape, pixel edges. A polygon that crosses itself and has to be cut covers what `area` says: its
            parts no longer cross themselves, and a hole hangs on its outer ring by an edge walked there and back.
        region: (K, 2) corners of a convex polygon in either direction. No corners, or a region without area, let
            nothing through.

    Returns:
        The very shape when it lies wholly inside. Otherwise parts with an area (a length for a line), none when nothing
        is left. A box cut by an upright rectangle is a box, by another region a polygon. Parts of a polygon come from
        top to bottom, then left to right; each may start at any vertex and run in either direction. Parts of a line
        come in the order and the direction of the line. No vertex lies outside of an upright rectangle, none further
        than 1e-9 pixels outside of another region while coordinates stay below 1e5.

    Raises:
        ValueError: If `region` does not have the shape (K, 2) or is not convex.
    """
    bounds = _upright(region)
    if bounds is not None:
        return _clip_upright(shape, bounds)
    planes = _half_planes(region)
    if not planes:
        return ()
    if _hold(planes, shape.bounds()):
        return (shape,)
    distances = _inwards(outline(shape), planes)
    if (distances >= 0).all():
        return (shape,)
    if isinstance(shape, Polyline):
        return tuple(_pieces(shape.points, distances))
    if (distances <= 0).all(axis=0).any():
        return ()
    if isinstance(shape, Box):
        ring = _cut(outline(shape).tolist(), planes)
        return (Polygon(np.array(ring)),) if ring else ()
    return tuple(Polygon(ring) for ring in _rings(shape, shapely.convex_hull(shapely.multipoints(region))))


def cut_convex(ring: Points, region: Points) -> Points:
    """Return the part of a convex polygon that lies within a convex region.

    Args:
        ring: (P, 2) corners of a convex polygon in either direction, pixel edges.
        region: (K, 2) corners of another, see `clip`.

    Returns:
        (Q, 2) corners in the direction of `ring`; (0, 2) when nothing with an area is left. None lies outside of an
        upright rectangle.

    Raises:
        ValueError: If `region` does not have the shape (K, 2) or is not convex.
    """
    corners = np.array(_cut(ring.tolist(), _half_planes(region))).reshape(-1, 2)
    bounds = _upright(region)
    return corners if bounds is None else corners.clip(bounds[:2], bounds[2:])


def see(shape: Shape, region: Points, *, min_coverage: float = 0.0) -> Seen:
    """Cut a shape to a convex region and choose the part that stands for it.

    Args:
        shape: Any shape, pixel edges.
        region: (K, 2) corners of a convex polygon, see `clip`.
        min_coverage: Smallest share of the area (of the length for a line) that must be left, in [0, 1].

    Returns:
        The largest part (the longest of a line, the first of equals) and the exact share of all parts together. A shape
        wholly inside is returned as it is with 1, also one without area or length.

    Raises:
        ValueError: If `min_coverage` is not in [0, 1], or `region` is not one, see `clip`.
    """
    if not 0.0 <= min_coverage <= 1.0:
        raise ValueError(f"min_coverage must lie in [0, 1], got {min_coverage}")
    parts = clip(shape, region)
    if not parts:
        return Seen(None, 0.0)
    if parts[0] is shape:
        return Seen(shape, 1.0)
    sizes = [_size(part) for part in parts]
    coverage = min(math.fsum(sizes) / _size(shape), 1.0)
    return Seen(parts[sizes.index(max(sizes))] if coverage >= min_coverage else None, coverage)


def are_within(shapes: Sequence[Shape], region: Points) -> list[bool]:
    """Tell quickly which shapes lie wholly within a convex region; one that does to rounding only may count as outside.

    Args:
        shapes: Any shapes, pixel edges.
        region: (K, 2) corners of a convex polygon, see `clip`.

    Raises:
        ValueError: If `region` is not one, see `clip`.
    """
    planes = _half_planes(region)
    if not planes or not shapes:
        return [False] * len(shapes)
    lines = [outline(shape) for shape in shapes]
    points = np.concatenate(lines)
    starts = np.cumsum([0, *(len(line) for line in lines[:-1])])
    inside = (_depths(points, planes) >= 0).all(axis=1)
    within: list[bool] = np.logical_and.reduceat(inside, starts).tolist()
    return within


def _size(shape: Shape) -> float:
    return length(shape) if isinstance(shape, Polyline) else area(shape)


def _upright(region: Points) -> Bounds | None:
    """Return (x1, y1, x2, y2) of an upright rectangle with an area; None for every other region."""
    if region.shape != (4, 2):
        return None
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = region.tolist()
    first_across = ay == by and bx == cx and cy == dy and dx == ax
    first_down = ax == bx and by == cy and cx == dx and dy == ay
    if not (first_across or first_down) or ax == cx or ay == cy:
        return None
    return min(ax, cx), min(ay, cy), max(ax, cx), max(ay, cy)


def _clip_upright(shape: Shape, bounds: Bounds) -> tuple[Shape, ...]:
    x1, y1, x2, y2 = bounds
    left, top, right, bottom = shape.bounds()
    if x1 <= left and y1 <= top and right <= x2 and bottom <= y2:
        return (shape,)
    if left > x2 or top > y2 or right < x1 or bottom < y1:
        return ()
    low, high = np.array([x1, y1]), np.array([x2, y2])
    match shape:
        case Box():
            left, top, right, bottom = max(left, x1), max(top, y1), min(right, x2), min(bottom, y2)
            return (Box(left, top, right, bottom),) if left < right and top < bottom else ()
        case Polygon():
            return tuple(Polygon(ring.clip(low, high)) for ring in _rings(shape, shapely.box(*bounds)))
        case Polyline():
            distances = np.concatenate([shape.points - low, high - shape.points], axis=1)
            return tuple(Polyline(part.points.clip(low, high)) for part in _pieces(shape.points, distances))


def _half_planes(region: Points) -> list[Plane]:
    """Write a convex region as half-planes, one for each edge with a length; none when it has no area.

    An edge shorter than the rounding of its ends has any direction: so each line is moved outwards until all corners
    are on its inner side, and convexity is judged by area. Plain floats: for so few numbers arrays take longer.
    """
    if region.ndim != 2 or region.shape[1] != 2:
        raise ValueError(f"a region must have shape (K, 2), got {region.shape}")
    ring = region.tolist()
    edges = [(x, y, next_x - x, next_y - y) for (x, y), (next_x, next_y) in pairwise([*ring, *ring[:1]])]
    twice_area = math.fsum((x - ring[0][0]) * dy - (y - ring[0][1]) * dx for x, y, dx, dy in edges)
    planes = []
    for x, y, dx, dy in edges if abs(twice_area) > _TOLERANCE else []:
        size = math.hypot(dx, dy)
        if size > 0:
            turned = math.copysign(size, twice_area)
            nx, ny = -dy / turned, dx / turned
            offset = min([nx * corner_x + ny * corner_y for corner_x, corner_y in ring])
            if (nx * x + ny * y - offset) * size > _TOLERANCE * (abs(twice_area) + size):
                raise ValueError(f"a region must be convex, got {ring}")
            planes.append((nx, ny, offset))
    return planes


def _cut(ring: list[list[float]], planes: list[Plane]) -> list[list[float]]:
    """Cut a convex ring at one line after the other: Sutherland and Hodgman, 1974."""
    if not planes:
        return []
    for nx, ny, offset in planes:
        depths = [nx * x + ny * y - offset for x, y in ring]
        if min(depths, default=0.0) >= -_TOLERANCE:
            continue
        kept = []
        for (start, here), (end, there) in pairwise([*zip(ring, depths, strict=True), (ring[0], depths[0])]):
            if here >= -_TOLERANCE:
                kept.append(start)
            if min(here, there) < -_TOLERANCE and max(here, there) > _TOLERANCE:
                kept.append(_crossing(start, end, here / (here - there), (nx, ny, offset)))
        ring = kept
    (x, y), *others = ring or [[0.0, 0.0]]
    fans = ((a[0] - x) * (b[1] - y) - (a[1] - y) * (b[0] - x) for a, b in pairwise(others))
    return ring if abs(math.fsum(fans)) > 0 else []


def _crossing(start: list[float], end: list[float], share: float, plane: Plane) -> list[float]:
    """Return the point at this share of an edge, which lies on the line; on an upright line exactly."""
    nx, ny, offset = plane
    x, y = start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
    return [offset * nx if ny == 0 else x, offset * ny if nx == 0 else y]


def _hold(planes: list[Plane], bounds: Bounds) -> bool:
    """Tell whether a whole upright rectangle lies inside: of each plane, its outermost corner."""
    x1, y1, x2, y2 = bounds
    return all(
        nx * (x1 if nx > 0 else x2) + ny * (y1 if ny > 0 else y2) >= offset - _TOLERANCE for nx, ny, offset in planes
    )


def _inwards(points: Points, planes: list[Plane]) -> npt.NDArray[np.float64]:
    """Return how far inside of each line each point lies, (P, K); what is on the line but for rounding is 0."""
    distances = _depths(points, planes)
    distances[np.abs(distances) <= _TOLERANCE] = 0.0
    return distances


def _depths(points: Points, planes: list[Plane]) -> npt.NDArray[np.float64]:
    """Return how far inside of each line each point lies, (P, K), as it was computed."""
    nx, ny, offsets = np.array(planes).T
    depths: npt.NDArray[np.float64] = points[:, :1] * nx + points[:, 1:] * ny - offsets
    return depths


def _pieces(line: Points, distances: npt.NDArray[np.float64]) -> Iterator[Polyline]:
    """Yield the parts of a line, (P, 2), from how far inside of each edge of the region its vertices lie, (P, K)."""
    chain: list[Points] = []
    for index, (enter, leave) in enumerate(_spans(distances)):
        if chain and enter > 0:  # it was outside in between
            yield from _with_length(chain)
            chain = []
        if enter < leave:
            chain = chain or [_between(line, index, enter)]
            chain.append(_between(line, index, leave))
    yield from _with_length(chain)


def _spans(distances: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return from where to where each segment is inside, as shares of it; nothing is unless the first is smaller."""
    here, there = distances[:-1], distances[1:]
    crossing = here / np.where(here == there, 1.0, here - there)
    enters = np.where((here < 0) & (there >= 0), crossing, 0.0).max(axis=1)
    leaves = np.where((here >= 0) & (there < 0), crossing, 1.0).min(axis=1)
    missed = ((here < 0) & (there < 0)).any(axis=1)
    return list(zip(enters.tolist(), np.where(missed, -1.0, leaves).tolist(), strict=True))


def _between(line: Points, index: int, share: float) -> Points:
    """Return the point at this share of the segment that starts at vertex `index`; the ends are exact."""
    point: Points = line[index + 1] if share == 1 else line[index] + share * (line[index + 1] - line[index])
    return point


def _with_length(chain: list[Points]) -> Iterator[Polyline]:
    if chain:
        piece = Polyline(np.stack(chain))
        if length(piece) > 0:
            yield piece


def _rings(shape: Box | Polygon, region: shapely.Geometry) -> list[Points]:
    """Return the parts of a shape within a region, each as one ring, from top to bottom, then left to right."""
    common = shapely.intersection(covered(shape), region)
    parts = [part for part in shapely.get_parts(shapely.get_parts(common)) if part.area > 0]
    rings = [_one_ring(part) for part in parts]
    return sorted(rings, key=lambda ring: ring.min(axis=0)[::-1].tolist())


def _one_ring(part: shapely.Geometry) -> Points:
    """Return the outer ring with each hole hung on it by the shortest edge, which so cannot cross another."""
    ring: Points = shapely.get_coordinates(part.exterior)[:-1]
    holes = list(part.interiors)
    while holes:
        links = shapely.shortest_line(shapely.linearrings(ring), holes)
        nearest = int(np.argmin(shapely.length(links)))
        start, end = shapely.get_coordinates(links[nearest])
        hole = shapely.get_coordinates(holes.pop(nearest))[:-1]
        ring = np.concatenate([_opened(ring, start), _opened(hole, end)])
    return ring


def _opened(ring: Points, point: Points) -> Points:
    """Return the ring as a chain that starts and ends at a point on it."""
    edges = shapely.linestrings(np.stack([ring, np.roll(ring, -1, axis=0)], axis=1))
    edge = int(np.argmin(shapely.distance(edges, shapely.points(point))))
    chain = np.roll(ring, -edge - 1, axis=0)  # from the end of the edge around to its start
    if not np.array_equal(chain[0], point):
        chain = np.concatenate([[point], chain])
    return chain if np.array_equal(chain[-1], point) else np.concatenate([chain, [point]])
