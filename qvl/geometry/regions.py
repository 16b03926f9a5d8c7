"""What many shapes cover at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import shapely

from qvl.geometry.canonical import canonical
from qvl.geometry.shapes import Box, Points, Polygon, Polyline, Shape

Regions: TypeAlias = npt.NDArray[np.object_]


def regions(shapes: Sequence[Shape], *, line_tolerance: float) -> Regions:
    """Return what each shape covers, by the rules of `overlap`.

    Args:
        shapes: Any shapes.
        line_tolerance: Half the width of the tube that a line covers, in units of the coordinates, > 0.

    Returns:
        (N,) valid geometries of shapely; polygons that cross themselves are read by the rule of `measures`.

    Raises:
        ValueError: If `line_tolerance` is not positive.
    """
    if not line_tolerance > 0:
        raise ValueError(f"line_tolerance must be positive, got {line_tolerance}")
    found = np.empty(len(shapes), dtype=np.object_)
    kinds = np.array([shape.key for shape in shapes], dtype=np.str_)
    if at := np.flatnonzero(kinds == Box.key).tolist():
        found[at] = shapely.box(*np.array([shapes[i].bounds() for i in at]).T)
    if at := np.flatnonzero(kinds == Polygon.key).tolist():
        found[at] = _valid([shapes[i].points for i in at])
    if at := np.flatnonzero(kinds == Polyline.key).tolist():
        points, chain = _joined([canonical(shapes[i]).points for i in at])
        chains = shapely.linestrings(points, indices=chain)
        found[at] = shapely.buffer(chains, line_tolerance, quad_segs=16, cap_style="round", join_style="round")
    return found


def _valid(rings: Sequence[Points]) -> Regions:
    """Return the polygons of rings; only those that cross themselves take the slow way."""
    points, ring = _joined(rings)
    polygons = shapely.polygons(shapely.linearrings(points, indices=ring))
    wrong = ~shapely.is_valid(polygons)
    polygons[wrong] = shapely.make_valid(polygons[wrong])
    return np.asarray(polygons, dtype=np.object_)


def _joined(chains: Sequence[Points]) -> tuple[Points, npt.NDArray[np.intp]]:
    """Return all points below each other, and which chain each belongs to."""
    return np.concatenate(chains), np.repeat(np.arange(len(chains)), [len(chain) for chain in chains])
