"""Shapes in pixel edges: x in [0, width], y in [0, height], origin top left, float64."""

from __future__ import annotations

from qvl.geometry.canonical import canonical
from qvl.geometry.grid import GRIDS, from_grid, round_half_up, to_grid
from qvl.geometry.measures import area, box_iou, overlap, polygon_iou, tube_iou
from qvl.geometry.shapes import KEYS, Box, Polygon, Polyline, Shape, shape_from_flat

__all__ = [
    "GRIDS",
    "KEYS",
    "Box",
    "Polygon",
    "Polyline",
    "Shape",
    "area",
    "box_iou",
    "canonical",
    "from_grid",
    "overlap",
    "polygon_iou",
    "round_half_up",
    "shape_from_flat",
    "to_grid",
    "tube_iou",
]
