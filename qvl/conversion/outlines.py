"""Shapes that a row does not have, as outlines that it has; pixel edges, y points down."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["circle", "rotated_box"]

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
    turn = math.radians(degrees)
    cos, sin = math.cos(turn), math.sin(turn)
    turned = corners @ np.array([[cos, sin], [-sin, cos]]) + (x, y)
    return tuple(turned.ravel().tolist())


def circle(x: float, y: float, radius: float) -> tuple[float, ...]:
    """Return a regular polygon with the centre and the area of a circle, a vertex at the top.

    Args:
        x: Of the centre.
        y: Of the centre.
        radius: Of the circle.
    """
    turns = 2 * math.pi * np.arange(CIRCLE_VERTICES) / CIRCLE_VERTICES
    reach = radius * math.sqrt(2 * math.pi / CIRCLE_VERTICES / math.sin(2 * math.pi / CIRCLE_VERTICES))
    points = np.stack([x + reach * np.sin(turns), y - reach * np.cos(turns)], axis=1)
    return tuple(points.ravel().tolist())
