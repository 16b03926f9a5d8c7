"""What is cut off is exactly what lies outside."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from qvl.geometry import (
    Box,
    Polygon,
    Polyline,
    Seen,
    apply,
    are_within,
    area,
    clip,
    cut_convex,
    length,
    rectangle,
    rotation,
    see,
    shape_from_flat,
    shearing,
)

coordinate = st.one_of(st.integers(-20, 30), st.floats(-200, 300).map(lambda value: round(value, 6)))
points = st.tuples(coordinate, coordinate)
boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), *[coordinate] * 2, *[st.floats(0.01, 300)] * 2)
polygons = st.lists(points, min_size=3, max_size=8).map(lambda rows: Polygon(np.array(rows)))  # many cross themselves
lines = st.lists(points, min_size=2, max_size=6).map(lambda rows: Polyline(np.array(rows)))
shapes = st.one_of(boxes, polygons, lines)

canvases = st.builds(rectangle, st.integers(1, 200), st.floats(1, 200))
turned = st.builds(
    lambda canvas, degrees, shear: apply(shearing(shear, 0, about=(50, 50)), apply(rotation(degrees), canvas)),
    st.builds(rectangle, st.floats(1, 300), st.floats(1, 300)),
    st.floats(-180, 180),
    st.floats(-30, 30),
)
hulls = (
    st.lists(points, min_size=3, max_size=9)
    .map(lambda rows: shapely.convex_hull(shapely.multipoints(rows)))
    .filter(lambda hull: hull.area > 1)
    .map(lambda hull: shapely.get_coordinates(hull)[:-1])
)
regions = st.one_of(canvases, turned, hulls)

U = (0, 0, 2, 0, 2, 8, 6, 8, 6, 0, 8, 0, 8, 10, 0, 10)
DONUT = (0, 0, 9, 0, 9, 9, 0, 9, 0, 0, 3, 3, 3, 6, 6, 6, 6, 3, 3, 3)  # the hole hangs on the corner (0, 0)


def poly(*numbers) -> Polygon:
    return shape_from_flat("poly", numbers)


def line(*numbers) -> Polyline:
    return shape_from_flat("line", numbers)


def size(shape) -> float:
    return length(shape) if isinstance(shape, Polyline) else area(shape)


def ring_of(shape) -> np.ndarray:
    if isinstance(shape, Box):
        return np.array([[shape.x1, shape.y1], [shape.x2, shape.y1], [shape.x2, shape.y2], [shape.x1, shape.y2]])
    return shape.points


def depth(rows, region) -> float:
    """Return by how much the outermost point is outside the region."""
    outside = shapely.distance(shapely.polygons(region), shapely.points(rows))
    return float(outside.max())


@given(shapes, regions)
def test_every_part_lies_within_the_region(shape, region):
    for part in clip(shape, region):
        assert depth(ring_of(part), region) <= 1e-9


@given(shapes, canvases)
def test_no_part_leaves_an_upright_canvas_at_all(shape, region):
    for part in clip(shape, region):
        x1, y1, x2, y2 = part.bounds()
        assert x1 >= 0 and y1 >= 0 and x2 <= region[2, 0] and y2 <= region[2, 1]


@given(shapes, regions)
def test_clipping_twice_is_clipping_once(shape, region):
    for part in clip(shape, region):
        again = clip(part, region)
        assert len(again) == 1
        assert again[0] is part


@given(shapes, regions)
def test_a_shape_wholly_inside_is_returned_itself(shape, region):
    inside = depth(ring_of(shape), region) == 0
    parts = clip(shape, region)
    if inside:
        assert len(parts) == 1
        assert parts[0] is shape
        assert see(shape, region, min_coverage=1.0) == Seen(shape, 1.0)


@given(st.one_of(boxes, polygons), regions)
def test_coverage_is_the_share_of_the_area(shape, region):
    assume(area(shape) > 1e-3)
    region_area = shapely.polygons(region)
    whole = shapely.make_valid(shapely.polygons(ring_of(shape)))
    seen = see(shape, region)
    assert 0.0 <= seen.coverage <= 1.0
    assert seen.coverage == pytest.approx(shapely.intersection(whole, region_area).area / whole.area, abs=1e-9)
    assert math.fsum(map(area, clip(shape, region))) == pytest.approx(seen.coverage * area(shape), abs=1e-6)


@given(regions, regions)
def test_a_convex_polygon_is_cut_as_any_polygon_is(ring, region):
    assume(area(Polygon(ring)) > 1)
    common = shapely.intersection(shapely.convex_hull(shapely.multipoints(ring)), shapely.Polygon(region))
    part = cut_convex(ring, region)
    assert (area(Polygon(part)) if len(part) else 0.0) == pytest.approx(common.area, rel=1e-6, abs=1e-6)
    assert len(part) == 0 or depth(part, region) <= 1e-6


@given(turned, canvases)
def test_no_corner_of_a_cut_polygon_leaves_an_upright_canvas_at_all(ring, region):
    part = cut_convex(ring, region)
    assert (part >= 0).all() and (part <= region.max(axis=0)).all()


@given(st.lists(shapes, max_size=6), regions)
def test_shapes_that_are_quickly_found_within_are_not_cut(items, region):
    for shape, is_within in zip(items, are_within(items, region), strict=True):
        assert not is_within or clip(shape, region) == (shape,)


@given(st.lists(boxes, min_size=1, max_size=6))
def test_boxes_far_from_the_border_are_within(items):
    assert are_within(items, np.array([[-999.0, -999.0], [999.0, -999.0], [999.0, 999.0], [-999.0, 999.0]])) == [
        True
    ] * len(items)


@given(lines, regions)
def test_coverage_of_a_line_is_the_share_of_its_length(shape, region):
    assume(length(shape) > 1e-3)
    steps = shapely.linestrings(
        np.stack([shape.points[:-1], shape.points[1:]], axis=1)
    )  # one by one: it may cross itself
    within = shapely.length(shapely.intersection(steps, shapely.polygons(region))).sum()
    border = shapely.buffer(shapely.boundary(shapely.polygons(region)), 1e-8)
    assume(
        shapely.length(shapely.intersection(steps, border)).sum() < 1e-4
    )  # what runs along it is a matter of rounding
    seen = see(shape, region)
    assert seen.coverage == pytest.approx(within / length(shape), abs=1e-4 / length(shape) + 1e-9)


@given(shapes, st.floats(-150, 250))
def test_the_shares_of_two_halves_add_up(shape, cut):
    assume(size(shape) > 1e-3)
    everything = np.array([[-1000.0, -1000.0], [1000.0, -1000.0], [1000.0, 1000.0], [-1000.0, 1000.0]])
    left, right = everything.copy(), everything.copy()
    left[1:3, 0] = right[[0, 3], 0] = cut
    on_the_cut = isinstance(shape, Polyline) and (np.diff(shape.points[:, 0]) == 0).any()
    assume(not on_the_cut)
    assert see(shape, left).coverage + see(shape, right).coverage == pytest.approx(1.0, abs=1e-9)


@given(shapes, regions)
def test_the_direction_of_the_region_does_not_matter(shape, region):
    there, back = see(shape, region), see(shape, region[::-1])
    assert there.coverage == pytest.approx(back.coverage, abs=1e-9)
    assert type(there.shape) is type(back.shape)


@given(shapes, regions, st.floats(0, 1))
def test_min_coverage_decides_what_is_dropped(shape, region, least):
    free, held = see(shape, region), see(shape, region, min_coverage=least)
    assert held.coverage == free.coverage
    assert held.shape == (free.shape if free.coverage >= least else None)


@given(polygons, regions)
def test_no_vertex_inside_the_region_is_left_out(shape, region):
    assume(shapely.polygons(shape.points).is_valid and depth(shape.points, region) > 0)
    border = shapely.boundary(shapely.polygons(region))
    kept = {tuple(row) for part in clip(shape, region) for row in part.points.tolist()}
    for row in shape.points.tolist():
        if depth([row], region) == 0 and shapely.distance(border, shapely.points(row)) > 1e-6:
            assert tuple(row) in kept


def test_a_cut_box_stays_a_box():
    assert clip(Box(-5, 3, 20, 8), rectangle(10, 6)) == (Box(0, 3, 10, 6),)
    assert see(Box(-5, 3, 20, 8), rectangle(10, 6)) == Seen(Box(0, 3, 10, 6), 30 / 125)
    assert clip(Box(-5, 3, 20, 8), rectangle(10, 6)[[1, 0, 3, 2]]) == (Box(0, 3, 10, 6),)


def test_a_box_cut_by_a_slanted_region_is_a_polygon():
    diamond = np.array([[5.0, 0], [10, 5], [5, 10], [0, 5]])
    (part,) = clip(Box(0, 0, 5, 5), diamond)
    assert isinstance(part, Polygon)
    assert area(part) == pytest.approx(12.5)
    assert clip(Box(4, 4, 6, 6), diamond) == (Box(4, 4, 6, 6),)
    assert clip(Box(0, 0, 2, 2), diamond) == ()


def test_a_u_shape_falls_apart():
    left, right = clip(poly(*U), rectangle(20, 5))
    assert left.bounds() == (0, 0, 2, 5)
    assert right.bounds() == (6, 0, 8, 5)
    assert see(poly(*U), rectangle(20, 5)).coverage == pytest.approx(20 / 48)


def test_the_largest_part_is_kept_and_all_parts_are_counted():
    wide_right = poly(0, 0, 2, 0, 2, 8, 5, 8, 5, 0, 8, 0, 8, 10, 0, 10)
    seen = see(wide_right, rectangle(20, 5))
    assert seen.shape.bounds() == (5, 0, 8, 5)
    assert seen.coverage == pytest.approx(25 / area(wide_right))


def test_the_first_of_equal_parts_is_kept():
    assert see(poly(*U), rectangle(20, 5)).shape.bounds() == (0, 0, 2, 5)


def test_a_line_that_leaves_and_comes_back_gives_two_parts():
    path = line(2, 2, 14, 2, 14, 6, 1, 6)
    assert clip(path, rectangle(10, 10)) == (line(2, 2, 10, 2), line(10, 6, 1, 6))
    assert see(path, rectangle(10, 10)) == Seen(line(10, 6, 1, 6), pytest.approx(17 / 29))


def test_a_line_that_crosses_itself_stays_one_part():
    loop = line(-5, 5, 8, 5, 8, 8, 4, 8, 4, 1)
    assert clip(loop, rectangle(10, 10)) == (line(0, 5, 8, 5, 8, 8, 4, 8, 4, 1),)


def test_a_line_that_passes_through_keeps_the_middle():
    assert clip(line(-5, 5, 15, 5), rectangle(10, 10)) == (line(0, 5, 10, 5),)
    assert clip(line(-5, 15, 5, 25), rectangle(10, 10)) == ()  # its bounds cross the corner's, the line does not
    assert clip(line(-6, 5, 5, -6), rectangle(10, 10)) == ()


def test_touching_the_border_is_not_leaving():
    path = line(2, 2, 5, 0, 8, 2, 20, 2)  # touches the top
    assert clip(path, rectangle(10, 10)) == (line(2, 2, 5, 0, 8, 2, 10, 2),)
    assert clip(line(2, 0, 8, 0, 8, -3), rectangle(10, 10)) == (line(2, 0, 8, 0),)  # runs along it
    assert clip(line(-3, 3, 0, 5, -3, 7), rectangle(10, 10)) == ()  # touches it from outside
    assert clip(line(-3, 3, 0, 5, 0, 5, -3, 7), rectangle(10, 10)) == ()
    assert clip(Box(10, 0, 12, 5), rectangle(10, 10)) == ()  # shares an edge
    assert clip(poly(10, 0, 12, 0, 10, 5), rectangle(10, 10)) == ()


def test_repeated_vertices_of_a_line_are_kept():
    assert clip(line(2, 2, 2, 2, 12, 2), rectangle(10, 10)) == (line(2, 2, 2, 2, 10, 2),)


@pytest.mark.parametrize("region", [rectangle(6, 20), apply(rotation(1e-7), rectangle(6, 20))])
def test_a_polygon_that_crosses_itself_covers_what_area_says(region):
    bow_tie = poly(0, 0, 10, 10, 10, 0, 0, 10)  # its two triangles, 25 each
    seen = see(bow_tie, region)
    assert seen.coverage == pytest.approx((25 + 1) / 50, abs=1e-6)


def test_a_hole_stays_a_hole():
    donut = poly(*DONUT)
    assert area(donut) == 72
    (part,) = clip(donut, rectangle(20, 7))
    assert area(part) == pytest.approx(63 - 9)
    assert see(donut, rectangle(20, 7)).coverage == pytest.approx(54 / 72)
    inside_the_hole = np.array([[4.0, 4], [5, 4], [5, 5], [4, 5]])
    assert clip(donut, inside_the_hole) == ()


def test_many_holes_stay_holes():
    ring = [(0, 0), (20, 0), (20, 10), (0, 10)]
    for y in (8, 5, 2):  # out along the upper half of each square hole, back along its lower half
        lefts = range(1, 18, 4)
        out = [point for x in lefts for point in ((x, y), (x, y - 0.5), (x + 1, y - 0.5), (x + 1, y))]
        back = [point for x in reversed(lefts) for point in ((x + 1, y), (x + 1, y + 0.5), (x, y + 0.5), (x, y))]
        ring += [(0, y), *out, *back, (0, y)]
    grid = Polygon(np.array(ring))
    assert area(grid) == pytest.approx(200 - 15)
    (part,) = clip(grid, rectangle(19, 9.5))
    assert area(part) == pytest.approx(19 * 9.5 - 15)
    turned_region = apply(rotation(30, about=(10, 5)), np.array([[4.0, 0], [16, 0], [16, 10], [4, 10]]))
    whole = shapely.make_valid(shapely.polygons(grid.points))
    expected = shapely.intersection(whole, shapely.polygons(turned_region)).area
    assert sum(map(area, clip(grid, turned_region))) == pytest.approx(expected)


@pytest.mark.parametrize(
    "region", [np.zeros((0, 2)), np.array([[1.0, 1]]), rectangle(5, 0), rectangle(0, 0), [[0, 0], [9, 9]]]
)
@pytest.mark.parametrize("shape", [Box(0, 0, 9, 9), poly(0, 0, 9, 0, 9, 9), line(0, 0, 9, 0), line(0, 0, 0, 0)])
def test_a_region_without_area_lets_nothing_through(shape, region):
    region = np.asarray(region, dtype=np.float64)
    assert clip(shape, region) == ()
    assert see(shape, region) == Seen(None, 0.0)


@pytest.mark.parametrize("turn", [(1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_a_hole_behind_a_hole_hangs_on_that_one(turn):
    ring = [(-10, 0), (30, 0), (30, 20), (-10, 20), (-10, 2), (-5, 2), (-5, 1), (25, 1), (25, 2), (10, 2)]  # half of
    ring += [(10, 4), (20, 4), (20, 5), (0, 5), (0, 4), (10, 4), (10, 2), (-5, 2), (-10, 2)]  # one, the other, the rest
    region = np.array([[-9.0, 0.1], [29.0, 0.1], [29.0, 19.0], [-9.0, 19.0]]) * turn
    (part,) = clip(Polygon(np.array(ring) * turn), region)
    assert area(part) == pytest.approx(38 * 18.9 - 30 - 20)
    edges = shapely.linestrings(np.stack([part.points, np.roll(part.points, -1, axis=0)], axis=1))
    crossings = shapely.get_coordinates(shapely.union_all(edges)).tolist()
    assert {tuple(row) for row in crossings} == {tuple(row) for row in part.points.tolist()}  # none but at vertices


@given(st.floats(-180, 180), st.floats(0, 1e-6), shapes)
def test_a_turned_sliver_is_a_region_and_lets_next_to_nothing_through(degrees, height, shape):
    sliver = apply(rotation(degrees, about=(300, 200)), rectangle(1000, height))
    for part in clip(shape, sliver):
        assert part is shape or isinstance(part, Polyline) or area(part) <= 1000 * height + 1e-9


@pytest.mark.parametrize("shape", [poly(1, 1, 5, 5, 9, 9), line(3, 3, 3, 3), poly(2, 2, 2, 2, 2, 2)])
def test_shapes_without_area_or_length_are_kept_inside_and_lost_at_the_border(shape):
    assert see(shape, rectangle(10, 10), min_coverage=1.0) == Seen(shape, 1.0)
    assert see(shape, rectangle(10, 1.5)) == Seen(None, 0.0)


@pytest.mark.parametrize(
    "region",
    [
        [[0, 0], [10, 0], [2, 2], [0, 10]],  # an arrow
        [[0, 0], [10, 10], [10, 0], [0, 10.5]],  # a bow-tie
        [[50, 0], [79, 90], [2, 35], [98, 35], [21, 90]],  # a pentagram
    ],
)
def test_a_region_that_is_not_convex_is_refused(region):
    for shape in (Box(1, 1, 2, 2), line(0, 0, 9, 9)):
        with pytest.raises(ValueError, match="convex"):
            clip(shape, np.array(region, dtype=np.float64))


def test_a_region_needs_points_of_the_plane():
    with pytest.raises(ValueError, match=r"\(K, 2\)"):
        clip(Box(1, 1, 2, 2), np.zeros((4, 3)))


def test_an_edge_of_rounding_errors_cuts_nothing_off():
    rough = np.array([[0.0, 0], [10, 0], [10 + 1e-13, -1e-13], [10, 10], [10, 10], [0, 10]])
    assert see(line(1, 1, 12, 1), rough).coverage == pytest.approx(9 / 11)
    assert see(Box(1, 1, 12, 3), rough).coverage == pytest.approx(9 / 11)
    assert clip(Box(1, 1, 9, 9), rough) == (Box(1, 1, 9, 9),)


@pytest.mark.parametrize("region", [rectangle(100, 100), apply(rotation(30), rectangle(100, 100))])
def test_a_millionth_of_a_pixel_outside_is_cut_off(region):
    x, y = region[2]
    for shape in (Box(x - 3, y - 3, x + 1e-6, y + 1e-6), line(x - 1, y - 1, x + 1e-6, y + 1e-6)):
        parts = clip(shape, region)
        assert parts
        assert parts[0] != shape


def test_exactly_the_least_share_is_enough():
    half = Seen(Box(0, 0, 5, 10), 0.5)
    assert see(Box(0, 0, 10, 10), rectangle(5, 10), min_coverage=0.5) == half
    assert see(Box(0, 0, 10, 10), rectangle(5, 10), min_coverage=0.501) == Seen(None, 0.5)


@pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
def test_a_share_outside_of_0_to_1_is_refused(least):
    with pytest.raises(ValueError, match="min_coverage"):
        see(Box(0, 0, 1, 1), rectangle(2, 2), min_coverage=least)
