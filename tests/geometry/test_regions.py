"""Many regions at once are the regions of each shape alone."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from qvl.geometry import Box, Polygon, Polyline, area, overlap, regions

number = st.integers(0, 6).map(float)
point = st.tuples(number, number)
shapes = st.one_of(
    st.builds(lambda x, y, w, h: Box(x, y, x + w + 1, y + h + 1), number, number, number, number),
    st.lists(point, min_size=3, max_size=7).map(lambda points: Polygon(np.array(points))),  # crossing itself, too
    st.lists(point, min_size=2, max_size=5).map(lambda points: Polyline(np.array(points))),
)


@given(st.lists(shapes, max_size=6))
def test_regions_cover_what_the_shapes_cover(drawn):
    found = regions(drawn, line_tolerance=2.0)
    assert found.shape == (len(drawn),)
    assert all(shapely.is_valid(found))
    for shape, region in zip(drawn, found, strict=True):
        assert isinstance(shape, Polyline) or region.area == pytest.approx(area(shape), abs=1e-9)


@given(shapes, shapes)
def test_overlaps_follow_from_regions(a, b):
    first, second = regions([a, b], line_tolerance=2.0)
    union = shapely.union(first, second).area
    expected = shapely.intersection(first, second).area / union if union else 0.0
    if isinstance(a, Polyline) == isinstance(b, Polyline):
        assert overlap(a, b, line_tolerance=2.0) == pytest.approx(expected, abs=1e-9)


def test_a_tube_needs_a_width():
    with pytest.raises(ValueError, match="line_tolerance must be positive"):
        regions([], line_tolerance=0.0)
