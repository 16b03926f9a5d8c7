"""The canonical form is clockwise on the screen, starts where it should and says the same thing."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qvl.geometry import Box, Polygon, Polyline, area, canonical, shape_from_flat

whole = st.integers(0, 9)  # few values, so that ties, spikes and crossings are common
anything = st.floats(0, 1000, allow_nan=False)
chains = st.one_of(
    st.lists(st.tuples(whole, whole), min_size=3, max_size=7),
    st.lists(st.tuples(anything, anything), min_size=3, max_size=7),
)


def polygon(*points) -> Polygon:
    return Polygon(np.array(points, dtype=float))


def line(*points) -> Polyline:
    return Polyline(np.array(points, dtype=float))


def vertices(shape) -> list[tuple[float, float]]:
    return [(x, y) for x, y in shape.points.tolist()]


def rotations(points) -> list[list]:
    ring = deque(points)
    return [list(ring) for _ in range(len(ring)) if ring.rotate(1) is None]


def star(angles, radii) -> Polygon:
    """Make a ring around (500, 500) that never crosses itself, anticlockwise or clockwise as the angles run."""
    return polygon(*[(500 + r * math.cos(a), 500 + r * math.sin(a)) for a, r in zip(angles, radii, strict=True)])


stars = st.integers(3, 8).flatmap(
    lambda count: st.builds(
        star,
        st.lists(st.floats(0, 6.28), min_size=count, max_size=count, unique_by=lambda angle: round(angle, 1)).map(
            sorted
        ),
        st.lists(st.floats(50, 400), min_size=count, max_size=count),
    )
)

TOP_LEFT, TOP_RIGHT, BOTTOM_RIGHT, BOTTOM_LEFT = (0, 0), (8, 0), (8, 5), (0, 5)  # as seen on a screen


@pytest.mark.parametrize("ring", rotations([TOP_LEFT, TOP_RIGHT, BOTTOM_RIGHT, BOTTOM_LEFT]))
@pytest.mark.parametrize("step", [1, -1])
def test_a_rectangle_runs_from_top_left_over_top_right(ring, step):
    shape = canonical(polygon(*ring[::step]))
    assert vertices(shape) == [TOP_LEFT, TOP_RIGHT, BOTTOM_RIGHT, BOTTOM_LEFT]


def test_the_interior_lies_on_the_right_hand_of_each_canonical_edge_of_a_picture():
    picture = np.zeros((10, 10), dtype=bool)  # rows go down, as on a screen
    picture[2:7, 3:9] = True
    ring = vertices(canonical(polygon((3, 2), (3, 7), (9, 7), (9, 2))))
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        ahead = np.sign([x2 - x1, y2 - y1])
        right = np.array([-ahead[1], ahead[0]])  # facing east on a screen, the right hand points down
        x, y = np.array([x1 + x2, y1 + y2]) / 2 + right / 2
        assert picture[int(y), int(x)]


@given(stars)
@settings(max_examples=100)
def test_a_simple_ring_is_clockwise_with_y_pointing_down(shape):
    assume(shapely.LinearRing(shape.points).is_valid and area(shape) > 1e-3)
    ring = vertices(canonical(shape))
    shoelace = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True))
    assert shoelace > 0  # y down: positive is clockwise
    assert shapely.LinearRing(ring).is_ccw  # shapely thinks y points up, so what it sees is the mirror image
    start, after, before = np.array(ring[0]), np.array(ring[1]), np.array(ring[-1])
    east_to_south = [math.atan2(*(point - start)[::-1]) for point in (after, before)]
    assert east_to_south[0] < east_to_south[1]  # from the topmost vertex we leave to the right and return from the left


@given(chains)
def test_a_polygon_starts_at_its_smallest_y_then_x(points):
    ring = vertices(canonical(polygon(*points)))
    assert ring[0] == min(ring, key=lambda point: (point[1], point[0]))


@given(chains, st.sampled_from([Polygon, Polyline]))
@settings(max_examples=200)
def test_twice_is_the_same_as_once(points, kind):
    once = canonical(kind(np.array(points, dtype=float)))
    assert canonical(once) == once


@given(chains)
@settings(max_examples=200)
def test_the_cyclic_order_is_kept_up_to_direction(points):
    while len(points) > 3 and points[0] == points[-1]:
        points = points[:-1]
    ring = vertices(canonical(polygon(*points)))
    assert ring in rotations(points) + rotations(points[::-1])


@given(chains)
@settings(max_examples=200)
def test_every_way_to_write_a_ring_has_one_canonical_form(points):
    assume(all(a != b for a, b in zip(points, points[1:] + points[:1], strict=True)))
    ways = rotations(points) + rotations(points[::-1])
    assert len({canonical(polygon(*way)) for way in ways}) == 1


def test_a_concave_ring_keeps_its_notch():
    arrow = [(0, 0), (10, 0), (10, 10), (5, 2), (0, 10)]  # sorting by angle would cut the notch off
    assert vertices(canonical(polygon(*arrow))) == arrow


@pytest.mark.parametrize("closings", [1, 2])
def test_closing_duplicates_are_dropped(closings):
    ring = [(0, 0), (8, 0), (8, 5)]
    assert vertices(canonical(polygon(*ring, *[(0, 0)] * closings))) == ring


def test_a_repeated_first_vertex_does_not_become_a_closing_one():
    ring = [(5, 0), (5, 0), (4, 9), (0, 5)]
    for way in rotations(ring)[1:]:
        once = canonical(polygon(*way))
        assert vertices(once) in (ring, ring[1:])  # split by the way it is written, the repetition is a closing one
        assert canonical(once) == once


def test_three_points_stay_three_though_two_are_equal():
    assert len(canonical(polygon((1, 1), (5, 1), (1, 1))).points) == 3


@pytest.mark.parametrize(
    ("points", "start"),
    [
        ([(1, 9), (5, 5), (8, 0)], (1, 9)),  # the smaller x, not the smaller y
        ([(8, 0), (5, 5), (1, 9)], (1, 9)),
        ([(4, 7), (0, 0), (4, 2)], (4, 2)),  # equal x: the smaller y; a point between them does not count
    ],
)
def test_a_line_starts_at_the_end_with_the_smaller_x_then_y(points, start):
    ordered = vertices(canonical(line(*points)))
    assert ordered[0] == start
    assert ordered in (points, points[::-1])


@given(chains)
def test_a_line_and_its_reverse_have_one_canonical_form(points):
    assert canonical(line(*points)) == canonical(line(*points[::-1]))


def test_a_closed_line_keeps_its_ends():
    loop = [(5, 5), (1, 1), (9, 1), (5, 5)]
    assert vertices(canonical(line(*loop))) == loop
    assert vertices(canonical(line(*loop[::-1]))) == loop


def test_a_box_stays_as_it_is():
    box = Box(1, 2, 3, 4)
    assert canonical(box) is box


def test_the_area_does_not_change():
    bow = shape_from_flat("poly", [0, 0, 10, 10, 10, 0, 0, 10])
    assert area(canonical(bow)) == area(bow) == 50
