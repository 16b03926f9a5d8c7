"""The parts of an annotation to shapes of a row: repaired where that is safe, refused otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qvl.conversion.annotated import Annotation, Refused
from qvl.conversion.frame import Frame
from qvl.geometry import (
    Box,
    Points,
    Polygon,
    Polyline,
    Shape,
    apply,
    area,
    canonical,
    length,
    rectangle,
    see,
)

__all__ = ["MULTI_PART_CHOICES", "NUMBERS_CHOICES", "SHAPE_CHOICES", "ShapeSettings", "Shaped", "make_shapes"]

SHAPE_CHOICES = ("annotated", "boxes")
MULTI_PART_CHOICES = ("box", "split", "largest")
NUMBERS_CHOICES = ("edges", "centers")

_NOISE = 1e-6
"""Pixels: what float arithmetic leaves behind is no repair."""

_LEAST_POINTS = {"bbox_2d": 2, "poly": 3, "line": 2, "point": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSettings:
    """What becomes of shapes.

    Attributes:
        shapes: annotated keeps each as it is, boxes writes the box around it.
        multi_part: What becomes of an object in pieces: box is the box around all, split makes an object of each,
            largest keeps the largest.
        point_size: Side in pixels of the box that stands for a point; None refuses points.
        canonical: Whether polygons and lines are brought into the canonical form.
        numbers: What numbers in pixels name: edges, or centers of pixels, so that 0 is the middle of the first pixel
            and a box includes its last one.
    """

    shapes: str = "annotated"
    multi_part: str = "box"
    point_size: float | None = None
    canonical: bool = False
    numbers: str = "edges"


@dataclass(frozen=True, slots=True)
class Shaped:
    """Shapes of one annotation, in upright pixel edges inside the picture.

    Attributes:
        shapes: One, or several where the pieces of an object are split.
        repairs: Codes of what was changed: pixel_centers, box_reversed, ring_closed, clipped, point_to_box,
            multi_part_box, multi_part_split, multi_part_largest.
    """

    shapes: tuple[Shape, ...]
    repairs: tuple[str, ...] = ()


def make_shapes(annotation: Annotation, frame: Frame, settings: ShapeSettings) -> Shaped | Refused:
    """Return the shapes of an annotation, or why it has none.

    Codes of refusals: point, bad_numbers, degenerate, outside.

    Args:
        annotation: Any annotation.
        frame: From its numbers to upright pixels.
        settings: What is wanted.
    """
    if annotation.kind == "point" and settings.point_size is None:
        return _refused(annotation, "point", "a point is no shape of a row; point_size=N makes a box of N pixels of it")
    repairs: list[str] = []
    whole: list[Shape] = []
    for part in annotation.parts:
        points = _points(annotation.kind, part)
        if points is None:
            return _refused(annotation, "bad_numbers", f"a {annotation.kind} cannot have these numbers")
        found = _shape(annotation.kind, points, frame, settings, repairs)
        if found is not None:
            whole.append(found)
    if not whole:
        return _refused(annotation, "degenerate", f"the {annotation.kind} has no extent")
    pieces = _inside(whole, frame, repairs)
    if not pieces:
        message = f"the {annotation.kind} lies outside the picture of {frame.width} x {frame.height} pixels"
        return _refused(annotation, "outside", message)
    shapes = _joined(pieces, settings.multi_part, repairs)
    if settings.shapes == "boxes" and shapes:
        boxed = (_around([shape]) for shape in shapes)
        shapes = [box for box in boxed if box is not None]
    if not shapes:
        return _refused(annotation, "degenerate", f"the box around the {annotation.kind} has no area")
    if settings.canonical:
        shapes = [canonical(shape) for shape in shapes]
    return Shaped(tuple(shapes), tuple(dict.fromkeys(repairs)))


def _refused(annotation: Annotation, code: str, message: str) -> Refused:
    came = {"label": annotation.label, annotation.kind: [list(part) for part in annotation.parts]}
    return Refused(annotation.where, code, message, came)


def _points(kind: str, part: Sequence[float]) -> Points | None:
    """Return the numbers as (P, 2), None if they cannot be such a shape."""
    least = _LEAST_POINTS[kind]
    fits = len(part) == 2 * least if kind in ("bbox_2d", "point") else len(part) >= 2 * least and len(part) % 2 == 0
    if not fits or not all(math.isfinite(value) and abs(value) < 1e8 for value in part):
        return None
    return np.array(part, dtype=np.float64).reshape(-1, 2)


def _shape(kind: str, points: Points, frame: Frame, settings: ShapeSettings, repairs: list[str]) -> Shape | None:
    """Return the shape in upright pixels, None if it has no extent."""
    if kind == "bbox_2d" and (points[0] > points[1]).any():
        repairs.append("box_reversed")
    if kind == "poly" and len(points) > 3 and (points[0] == points[-1]).all():
        points = points[:-1]
        repairs.append("ring_closed")
    if settings.numbers == "centers" and frame.unit == "pixels":
        points = _edges(kind, points)
        repairs.append("pixel_centers")
    placed = apply(frame.matrix, points)
    match kind:
        case "poly":
            polygon = Polygon(placed)
            return polygon if area(polygon) > _NOISE else None
        case "line":
            line = Polyline(placed)
            return line if length(line) > 0 else None
        case "point":
            repairs.append("point_to_box")
            half = (settings.point_size or 0.0) / 2
            return Box(*(placed[0] - half).tolist(), *(placed[0] + half).tolist())
        case _:
            return _box(placed)


def _edges(kind: str, points: Points) -> Points:
    """Return numbers that count pixels from 0 as pixel edges; a box reaches to the far edge of its last pixel."""
    if kind != "bbox_2d":
        return points + 0.5
    return np.stack([points.min(axis=0), points.max(axis=0) + 1.0])


def _box(points: Points) -> Box | None:
    (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Box(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _inside(whole: Sequence[Shape], frame: Frame, repairs: list[str]) -> list[Shape]:
    """Return what of the shapes lies in the picture."""
    region = rectangle(frame.width, frame.height)
    pieces: list[Shape] = []
    for shape in whole:
        x1, y1, x2, y2 = shape.bounds()
        if min(x1, y1, frame.width - x2, frame.height - y2) >= 0:
            pieces.append(shape)
            continue
        if min(x1, y1, frame.width - x2, frame.height - y2) < -_NOISE:
            repairs.append("clipped")
        seen = see(shape, region).shape  # the same part that augmentation would show
        pieces += [] if seen is None else [seen]
    return pieces


def _joined(pieces: list[Shape], multi_part: str, repairs: list[str]) -> list[Shape]:
    if len(pieces) == 1:
        return pieces
    repairs.append(f"multi_part_{multi_part}")
    match multi_part:
        case "split":
            return pieces
        case "largest":
            return [max(pieces, key=lambda piece: (area(piece), _span(piece)))]
        case _:
            box = _around(pieces)
            return [] if box is None else [box]


def _span(shape: Shape) -> float:
    return length(shape) if isinstance(shape, Polyline) else 0.0


def _around(shapes: Sequence[Shape]) -> Box | None:
    """Return the box around shapes, None if it has no area."""
    bounds = np.array([shape.bounds() for shape in shapes])
    return _box(np.stack([bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)]))
