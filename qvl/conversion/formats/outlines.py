"""Shapes that a row does not have, as outlines that it has; pixel edges, y points down."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["circle", "ellipse", "rotated_box"]

CIRCLE_VERTICES = 16


def rotated_box(x: float, y: float, width: float, height: float, *, degrees: float) -> tuple[float, ...]:
    """Return the corners x1, y1, ..., x4, y4 of a box that was turned about its centre, clockwise on the screen.

    Args:
        x: Of the centre.
        y: Of the centre.
        width: Of the box before it was turned.
        height: Of the box before it was turned.
        degrees: Clockwise on the screen.
    """
    right, down = width / 2, height / 2
    corners = np.array([(-right, -down), (right, -down), (right, down), (-right, down)], dtype=np.float64)
    return tuple((corners @ _turn(degrees) + (x, y)).ravel().tolist())


def circle(x: float, y: float, radius: float) -> tuple[float, ...]:
    """Return a regular polygon with the centre and the area of a circle, a vertex at the top.

    Args:
        x: Of the centre.
        y: Of the centre.
        radius: Of the circle.
    """
    return ellipse(x, y, radius, radius)


def ellipse(x: float, y: float, across: float, down: float, *, degrees: float = 0.0) -> tuple[float, ...]:
    """Return a polygon with the centre, the axes and the area of an ellipse, its first vertex above the centre.

    Args:
        x: Of the centre.
        y: Of the centre.
        across: Half of the width before it was turned.
        down: Half of the height before it was turned.
        degrees: By which it was turned about its centre, clockwise on the screen.
    """
    steps = 2 * math.pi * np.arange(CIRCLE_VERTICES) / CIRCLE_VERTICES
    reach = math.sqrt(2 * math.pi / CIRCLE_VERTICES / math.sin(2 * math.pi / CIRCLE_VERTICES))
    points = reach * np.stack([across * np.sin(steps), -down * np.cos(steps)], axis=1)
    return tuple((points @ _turn(degrees) + (x, y)).ravel().tolist())


def _turn(degrees: float) -> np.ndarray:
    """Return the (2, 2) matrix that turns points on its left clockwise on the screen."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cos, sin], [-sin, cos]])
