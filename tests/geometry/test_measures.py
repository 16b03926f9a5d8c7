"""Overlap is exact, symmetric and bounded."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qvl.geometry import (
    Box,
    Polygon,
    Polyline,
    apply,
    area,
    box_iou,
    length,
    min_area_rectangle,
    overlap,
    polygon_iou,
    rotation,
    shape_from_flat,
    tube_iou,
)

coordinate = st.one_of(st.integers(0, 20), st.floats(0, 1000))
points = st.tuples(coordinate, coordinate)
spans = st.tuples(coordinate, coordinate).map(sorted).filter(lambda span: span[1] - span[0] > 1e-3)
boxes = st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), spans, spans)
polygons = st.lists(points, min_size=3, max_size=7).map(lambda rows: Polygon(np.array(rows)))  # many cross themselves
lines = st.lists(points, min_size=2, max_size=5).map(lambda rows: Polyline(np.array(rows)))
shapes = st.one_of(boxes, polygons, lines)


def poly(*numbers) -> Polygon:
    return shape_from_flat("poly", numbers)


def line(*numbers) -> Polyline:
    return shape_from_flat("line", numbers)


def rectangle(box: Box) -> Polygon:
    return poly(box.x1, box.y1, box.x2, box.y1, box.x2, box.y2, box.x1, box.y2)


def crossing_number_area(shape: Polygon, side: int, steps: int) -> float:
    """Count the sample points of [0, side]^2 that a ray to the right leaves over an odd number of edges."""
    axis = (np.arange(side * steps) + 0.5) / steps
    x, y = np.meshgrid(axis, axis)
    inside = np.zeros_like(x, dtype=bool)
    for (x1, y1), (x2, y2) in zip(shape.points, np.roll(shape.points, -1, axis=0), strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
    return inside.sum() / steps**2


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        (Box(0, 0, 10, 10), Box(0, 0, 10, 10), 1.0),
        (Box(0, 0, 10, 10), Box(0, 0, 10, 5), 0.5),
        (Box(0, 0, 10, 10), Box(5, 5, 15, 15), 25 / 175),
        (Box(0, 0, 10, 10), Box(10, 0, 20, 10), 0.0),  # they share an edge only
        (Box(0, 0, 10, 10), Box(30, 30, 40, 40), 0.0),
    ],
)
def test_overlap_of_boxes(a, b, iou):
    assert box_iou(a, b) == pytest.approx(iou)


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        (poly(0, 0, 10, 0, 0, 10), poly(0, 0, 10, 0, 10, 10), 25 / 75),  # two halves of a square
        (poly(0, 0, 10, 0, 0, 10), Box(0, 0, 10, 10), 0.5),
        (poly(0, 0, 9, 0, 9, 9, 6, 9, 6, 3, 3, 3, 3, 9, 0, 9), Box(3, 3, 6, 9), 0.0),  # in the notch of a concave ring
        (poly(0, 0, 10, 10, 10, 0, 0, 10), Box(0, 0, 10, 10), 0.5),  # a bow-tie is its two triangles
        (poly(0, 0, 10, 0, 10, 10, 5, 10, 5, 20, 5, 10, 0, 10), Box(0, 0, 10, 10), 1.0),  # a spike covers nothing
        (poly(0, 0, 5, 5, 9, 9), poly(0, 0, 5, 5, 9, 9), 0.0),  # no area on either side
        (poly(0, 0, 5, 5, 9, 9), Box(0, 0, 9, 9), 0.0),
    ],
)
def test_overlap_of_polygons(a, b, iou):
    assert polygon_iou(a, b) == pytest.approx(iou)
    assert polygon_iou(b, a) == pytest.approx(iou)


@given(boxes, boxes)
def test_a_box_overlaps_as_its_rectangle_does(a, b):
    expected = pytest.approx(box_iou(a, b), abs=1e-9)
    assert polygon_iou(a, b) == expected
    assert polygon_iou(rectangle(a), b) == expected
    assert polygon_iou(rectangle(a), rectangle(b)) == expected


@given(shapes, shapes, st.floats(0.5, 50))
@settings(max_examples=150)
def test_overlap_is_symmetric_and_bounded(a, b, tolerance):
    there, back = overlap(a, b, line_tolerance=tolerance), overlap(b, a, line_tolerance=tolerance)
    assert 0.0 <= there <= 1.0
    assert there == pytest.approx(back, abs=1e-9)


@given(shapes)
def test_a_shape_agrees_with_itself_entirely(shape):
    assume(isinstance(shape, Polyline) or area(shape) > 1e-3)
    assert overlap(shape, shape, line_tolerance=20) == pytest.approx(1.0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=3, max_size=6))
@settings(max_examples=40)
def test_a_ring_covers_what_a_ray_leaves_over_an_odd_number_of_edges(rows):
    edges = shapely.linestrings(list(zip(rows, rows[1:] + rows[:1], strict=True)))
    assume(math.isclose(shapely.union_all(edges).length, shapely.length(edges).sum()))  # no edge lies on another
    shape = Polygon(np.array(rows))
    assert area(shape) == pytest.approx(crossing_number_area(shape, side=20, steps=16), abs=2)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_ring_walked_several_times_covers_what_it_covers_once(turns):
    assert area(poly(*[0, 0, 4, 0, 0, 3] * turns)) == 6


def test_area_of_the_three_kinds():
    assert area(Box(1, 2, 4, 6)) == 12
    assert area(poly(0, 0, 4, 0, 0, 3)) == 6
    assert area(poly(0, 0, 0, 3, 4, 0)) == 6  # whichever way it runs
    assert area(line(0, 0, 9, 9)) == 0


def test_length_follows_the_vertices():
    assert length(line(0, 0, 3, 4)) == 5
    assert length(line(0, 0, 3, 4, 0, 0)) == 10
    assert length(line(7, 7, 7, 7)) == 0


@given(st.lists(points, min_size=1, max_size=9).map(np.array))
def test_the_least_rectangle_holds_all_points_and_is_one(rows):
    corners = min_area_rectangle(rows).points
    sides = np.roll(corners, -1, axis=0) - corners
    assert np.allclose(sides[0], -sides[2], atol=1e-9)
    assert np.allclose(sides[1], -sides[3], atol=1e-9)
    assert abs(sides[0] @ sides[1]) <= 1e-9 * (1 + np.abs(sides).max() ** 2)
    for side in sides[:2]:  # every point lies between the two sides across it
        reach = np.sort(corners @ side)
        assert (rows @ side >= reach[0] - 1e-6).all()
        assert (rows @ side <= reach[-1] + 1e-6).all()


@given(st.lists(points, min_size=3, max_size=9).map(np.array), st.floats(-180, 180))
def test_no_rectangle_is_smaller(rows, degrees):
    turned_upright = apply(rotation(degrees), rows)
    assert area(min_area_rectangle(rows)) <= np.prod(np.ptp(turned_upright, axis=0)) + 1e-6


@given(boxes, st.floats(-45, 45), st.randoms(use_true_random=False))
def test_the_least_rectangle_of_a_turned_box_is_that_box(box, degrees, random):
    turned = apply(rotation(degrees, about=(500, 500)), rectangle(box).points)
    rows = [*turned.tolist(), *turned.mean(axis=0, keepdims=True).tolist()]
    random.shuffle(rows)
    found = min_area_rectangle(np.array(rows)).points
    assert {tuple(row) for row in found.round(6)} == {tuple(row) for row in turned.round(6)} or np.allclose(
        sorted(found.tolist()), sorted(turned.tolist()), atol=1e-6
    )


def test_the_least_rectangle_of_an_upright_one_is_exact_and_clockwise():
    rows = np.array([[7.3, 9.1], [0.1, 2.2], [7.3, 2.2], [0.1, 9.1], [3.0, 9.1]])
    assert min_area_rectangle(rows) == poly(0.1, 2.2, 7.3, 2.2, 7.3, 9.1, 0.1, 9.1)


@pytest.mark.parametrize(
    ("rows", "corners"),
    [
        ([[5, 6]], (5, 6, 5, 6, 5, 6, 5, 6)),
        ([[5, 6], [5, 6]], (5, 6, 5, 6, 5, 6, 5, 6)),
        ([[0, 0], [3, 0], [9, 0]], (0, 0, 9, 0, 9, 0, 0, 0)),
        ([[0, 0], [5, 5], [10, 10]], (0, 0, 10, 10, 10, 10, 0, 0)),
    ],
)
def test_the_least_rectangle_of_points_on_a_line_has_no_area(rows, corners):
    found = min_area_rectangle(np.array(rows))
    assert found.flat() == pytest.approx(corners, abs=1e-12)
    assert area(found) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rows", [np.zeros((0, 2)), np.zeros(2), np.zeros((3, 3))])
def test_the_least_rectangle_needs_points(rows):
    with pytest.raises(ValueError, match=r"\(P >= 1, 2\)"):
        min_area_rectangle(rows)


def test_a_tube_has_round_ends():
    tolerance, length = 10, 100
    tube = math.pi * tolerance**2 + 2 * tolerance * length
    half = math.pi * tolerance**2 + 2 * tolerance * length / 2
    expected = pytest.approx(half / tube, rel=1e-2)  # the round ends are drawn with 64 corners
    assert tube_iou(line(0, 0, length, 0), line(0, 0, length / 2, 0), tolerance=tolerance) == expected


def test_parallel_lines_overlap_as_their_strips_do():
    long, moved = line(0, 0, 10_000, 0), line(0, 8, 10_000, 8)
    assert tube_iou(long, moved, tolerance=10) == pytest.approx((20 - 8) / (20 + 8), rel=1e-2)


@given(lines)
def test_a_line_and_its_reverse_have_the_same_tube(shape):
    assert tube_iou(shape, Polyline(shape.points[::-1]), tolerance=20) == pytest.approx(1.0, abs=1e-6)


def test_lines_further_apart_than_both_tubes_do_not_agree():
    assert tube_iou(line(0, 0, 50, 0), line(0, 20.1, 50, 20.1), tolerance=10) == 0.0
    assert tube_iou(line(0, 0, 50, 0), line(0, 19.9, 50, 19.9), tolerance=10) > 0.0


def test_a_wider_tube_forgives_more():
    ious = [tube_iou(line(0, 0, 90, 0), line(0, 9, 90, 4), tolerance=width) for width in (2, 5, 8, 20, 80)]
    assert ious == sorted(ious)
    assert len(set(ious)) == len(ious)


def test_a_line_shrunk_to_a_point_has_a_disc():
    dot = line(5, 5, 5, 5)
    assert tube_iou(dot, dot, tolerance=20) == pytest.approx(1.0)
    assert tube_iou(dot, line(5, 5, 6, 5), tolerance=20) > 0.9


@pytest.mark.parametrize("tolerance", [0, -1, float("nan")])
def test_a_tube_without_width_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance must be positive"):
        tube_iou(line(0, 0, 1, 1), line(0, 0, 1, 1), tolerance=tolerance)


@pytest.mark.parametrize("region", [Box(0, 0, 10, 10), poly(0, 0, 10, 0, 10, 10)])
def test_a_line_never_agrees_with_a_region(region):
    across = line(0, 0, 10, 10)
    assert overlap(across, region, line_tolerance=20) == 0.0
    assert overlap(region, across, line_tolerance=20) == 0.0
