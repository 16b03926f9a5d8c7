"""Shapes in pixel edges: x in [0, width], y in [0, height], origin top left, float64."""

from __future__ import annotations

from qvl.geometry.affine import (
    Matrix,
    apply,
    compose,
    identity,
    invert,
    is_axis_aligned,
    mirror_x,
    mirror_y,
    perspective,
    rotation,
    scaling,
    shearing,
    transform,
    transform_all,
    translation,
)
from qvl.geometry.canonical import canonical, opened
from qvl.geometry.clipping import Seen, are_within, clip, cut_convex, rectangle, see
from qvl.geometry.fit import model_size
from qvl.geometry.grid import GRIDS, from_grid, round_half_up, to_grid
from qvl.geometry.measures import area, box_iou, length, min_area_rectangle, overlap, polygon_iou, tube_iou
from qvl.geometry.regions import Regions, regions
from qvl.geometry.shapes import KEYS, Box, Points, Polygon, Polyline, Shape, shape_from_flat

__all__ = [
    "GRIDS",
    "KEYS",
    "Box",
    "Matrix",
    "Points",
    "Polygon",
    "Polyline",
    "Regions",
    "Seen",
    "Shape",
    "apply",
    "are_within",
    "area",
    "box_iou",
    "canonical",
    "clip",
    "compose",
    "cut_convex",
    "from_grid",
    "identity",
    "invert",
    "is_axis_aligned",
    "length",
    "min_area_rectangle",
    "mirror_x",
    "mirror_y",
    "model_size",
    "opened",
    "overlap",
    "perspective",
    "polygon_iou",
    "rectangle",
    "regions",
    "rotation",
    "round_half_up",
    "scaling",
    "see",
    "shape_from_flat",
    "shearing",
    "to_grid",
    "transform",
    "transform_all",
    "translation",
    "tube_iou",
]
