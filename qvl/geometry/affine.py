"""Maps of the plane as 3 x 3 matrices: affine ones and perspective.

A matrix takes the column (x, y, 1) in pixel edges to (x', y', w), which is the point (x' / w, y' / w). Nothing here
goes through BLAS or LAPACK: the results do not depend on the processor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qvl.geometry.shapes import Box, Points, Polygon, Shape

Matrix: TypeAlias = npt.NDArray[np.float64]
"""(3, 3) float64."""

_SINGULAR: Final = 1e-12
"""Largest determinant, as a share of the sum of its absolute terms, that counts as 0."""


def identity() -> Matrix:
    """Return the matrix that leaves every point where it is."""
    return np.eye(3)


def translation(dx: float, dy: float) -> Matrix:
    """Return the matrix that moves by `dx` pixels to the right and `dy` pixels down."""
    return _affine(1.0, 0.0, 0.0, 1.0, shift=(dx, dy))


def scaling(sx: float, sy: float, *, about: tuple[float, float] = (0.0, 0.0)) -> Matrix:
    """Return the matrix that multiplies the distance from `about` by `sx` across and `sy` down."""
    return _affine_about(sx, 0.0, 0.0, sy, about)


def rotation(degrees: float, *, about: tuple[float, float] = (0.0, 0.0)) -> Matrix:
    """Return the matrix that turns around `about`; positive is clockwise on the screen.

    Multiples of 90 degrees are exact.
    """
    cos, sin = _cos_sin(degrees)
    return _affine_about(cos, -sin, sin, cos, about)


def shearing(degrees_x: float, degrees_y: float, *, about: tuple[float, float] = (0.0, 0.0)) -> Matrix:
    """Return the matrix x' = x + tan(degrees_x) y, y' = y + tan(degrees_y) x, measured from `about`.

    Args:
        degrees_x: Angle between a vertical line and its image, in (-90, 90); positive moves the lower end to the right.
        degrees_y: Angle between a horizontal line and its image, in (-90, 90); positive moves the right end down.
        about: The point that stays.

    Raises:
        ValueError: If an angle is outside (-90, 90).
    """
    if not (abs(degrees_x) < 90 and abs(degrees_y) < 90):
        raise ValueError(f"shear angles must lie in (-90, 90) degrees, got {degrees_x} and {degrees_y}")
    return _affine_about(1.0, math.tan(math.radians(degrees_x)), math.tan(math.radians(degrees_y)), 1.0, about)


def mirror_x(width: float) -> Matrix:
    """Return the left-right flip of a canvas: x' = width - x."""
    return _affine(-1.0, 0.0, 0.0, 1.0, shift=(width, 0.0))


def mirror_y(height: float) -> Matrix:
    """Return the top-bottom flip of a canvas: y' = height - y."""
    return _affine(1.0, 0.0, 0.0, -1.0, shift=(0.0, height))


def perspective(source: Points, target: Points) -> Matrix:
    """Return the matrix that takes four points to four others.

    Args:
        source: (4, 2) pixel edges.
        target: (4, 2) pixel edges, where they go.

    Returns:
        The matrix, scaled so that w is positive at `source` and 1 at its first point.

    Raises:
        ValueError: If a shape is another, three points lie on a line, or the horizon runs between the points (one four
            is convex and the other is not, or they run in another cyclic order).
    """
    start, end = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if start.shape != (4, 2) or end.shape != (4, 2):
        raise ValueError(f"a perspective needs four points (4, 2) twice, got {start.shape} and {end.shape}")
    matrix = compose(invert(_frame(start)), _frame(end))
    depth = _depth(matrix, start)
    if not ((depth > 0).all() or (depth < 0).all()):
        raise ValueError(f"no view takes {start.tolist()} to {end.tolist()}: a point would be behind the horizon")
    scaled: Matrix = matrix / depth[0]
    return scaled


def compose(*matrices: Matrix) -> Matrix:
    """Return the matrix that applies all of these, from left to right; none gives the identity."""
    result = identity()
    for matrix in matrices:
        result = (matrix[:, :, None] * result[None, :, :]).sum(axis=1)
    return result


def invert(m: Matrix) -> Matrix:
    """Return the matrix of the way back.

    Raises:
        ValueError: If the matrix is singular: it takes the plane to a line or a point, or holds numbers that are not
            finite.
    """
    (a, b, c), (d, e, f), (g, h, i) = m.tolist()
    adjugate = np.array(
        [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    determinant = float((m[0] * adjugate[:, 0]).sum())
    if not (math.isfinite(determinant) and abs(determinant) > _SINGULAR * _permanent(np.abs(m))):
        raise ValueError(f"a singular matrix has no inverse: {m.tolist()}")
    inverse: Matrix = adjugate / determinant + 0.0  # no -0.0
    return inverse


def apply(m: Matrix, points: Points) -> Points:
    """Map points.

    Args:
        m: Matrix.
        points: (P, 2) pixel edges.

    Returns:
        (P, 2) float64, a new array.

    Raises:
        ValueError: If the perspective takes a point to infinity or behind it.
    """
    x, y = np.asarray(points, dtype=np.float64).T
    mapped = np.stack([m[0, 0] * x + m[0, 1] * y + m[0, 2], m[1, 0] * x + m[1, 1] * y + m[1, 2]], axis=1)
    if m[2].tolist() == [0.0, 0.0, 1.0]:
        return mapped
    depth = _depth(m, points)
    if not (depth > 0).all():
        behind = np.asarray(points)[~(depth > 0)].tolist()
        raise ValueError(f"the perspective takes points to or behind the horizon: {behind}")
    return mapped / depth[:, None]


def is_axis_aligned(m: Matrix) -> bool:
    """Tell whether upright rectangles stay upright rectangles: scale, shift, mirror and quarter turns, exactly."""
    (a, b, _), (c, d, _), (g, h, _) = m.tolist()
    return not (g or h) and (not (b or c) or not (a or d))


def transform(shape: Shape, m: Matrix) -> Shape:
    """Map a shape, vertex by vertex.

    A mirror turns a ring around and this leaves it so: vertices stay in the order they came, `canonical` is another
    step. Straight edges stay straight under every matrix, so vertices are enough.

    Args:
        shape: Any shape, pixel edges.
        m: Matrix.

    Returns:
        A shape of the same type; only a box under a matrix that is not axis-aligned becomes the polygon of its corners,
        from the top left one clockwise.

    Raises:
        ValueError: If a point goes to or behind infinity, a coordinate becomes too large, or a box loses its area.
    """
    return transform_all([shape], m)[0]


def transform_all(shapes: Sequence[Shape], m: Matrix) -> list[Shape]:
    """Map many shapes at once, each as `transform` does.

    Raises:
        ValueError: As `transform`.
    """
    if not shapes:
        return []
    lines = [outline(shape) for shape in shapes]
    moved = iter(np.split(apply(m, np.concatenate(lines)), np.cumsum([len(line) for line in lines])[:-1]))
    keeps_boxes = is_axis_aligned(m)
    return [_like(shape, points, keeps_boxes) for shape, points in zip(shapes, moved, strict=True)]


def outline(shape: Shape) -> Points:
    """Return the vertices of a shape, (P, 2) pixel edges; of a box its corners, from the top left one clockwise."""
    if isinstance(shape, Box):
        x1, y1, x2, y2 = shape.flat()
        return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    return shape.points


def _like(shape: Shape, points: Points, keeps_boxes: bool) -> Shape:
    """Return a shape of the same kind with other vertices, a polygon for a box that is turned."""
    if not isinstance(shape, Box):
        return type(shape)(points)
    if not keeps_boxes:
        return Polygon(points)
    (x1, y1), _, (x2, y2), _ = points.tolist()
    return Box(min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))


def _affine(a: float, b: float, c: float, d: float, *, shift: tuple[float, float]) -> Matrix:
    return np.array([[a, b, shift[0]], [c, d, shift[1]], [0.0, 0.0, 1.0]]) + 0.0  # no -0.0


def _affine_about(a: float, b: float, c: float, d: float, about: tuple[float, float]) -> Matrix:
    x, y = about
    return _affine(a, b, c, d, shift=(x - (a * x + b * y), y - (c * x + d * y)))


def _cos_sin(degrees: float) -> tuple[float, float]:
    if degrees % 90 == 0:
        return ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))[int(degrees // 90) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _frame(points: Points) -> Matrix:
    """Return the matrix that takes (1, 0, 0), (0, 1, 0), (0, 0, 1) and (1, 1, 1) to the four points."""
    columns = np.concatenate([points.T, np.ones((1, 4))])
    weights = (invert(columns[:, :3]) * columns[:, 3]).sum(axis=1)
    frame: Matrix = columns[:, :3] * weights
    return frame


def _depth(m: Matrix, points: Points) -> npt.NDArray[np.float64]:
    """Return w of each point, (P,)."""
    x, y = np.asarray(points, dtype=np.float64).T
    depth: npt.NDArray[np.float64] = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    return depth


def _permanent(m: Matrix) -> float:
    """Return the sum of the six terms of the determinant with all signs positive."""
    (a, b, c), (d, e, f), (g, h, i) = m.tolist()
    return float(a * (e * i + f * h) + b * (f * g + d * i) + c * (d * h + e * g))
