"""Matrices move points as their names say, and the way back leads back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qvl.geometry import (
    Box,
    Polygon,
    Polyline,
    apply,
    area,
    compose,
    identity,
    invert,
    is_axis_aligned,
    mirror_x,
    mirror_y,
    perspective,
    rectangle,
    rotation,
    scaling,
    shape_from_flat,
    shearing,
    transform,
    transform_all,
    translation,
)

coordinate = st.floats(-4000, 4000)
about = st.tuples(coordinate, coordinate)
factor = st.one_of(st.floats(0.1, 10), st.floats(-10, -0.1))
angle = st.floats(-40, 40)
points = st.lists(about, min_size=1, max_size=6).map(np.array)

upright_steps = st.one_of(
    st.builds(translation, coordinate, coordinate),
    st.builds(lambda x, y, centre: scaling(x, y, about=centre), factor, factor, about),
    st.builds(lambda quarters, centre: rotation(90 * quarters, about=centre), st.integers(-5, 5), about),
    st.builds(mirror_x, st.floats(1, 4000)),
    st.builds(mirror_y, st.floats(1, 4000)),
)
steps = st.one_of(
    upright_steps,
    st.builds(lambda degrees, centre: rotation(degrees, about=centre), st.floats(-720, 720), about),
    st.builds(lambda x, y, centre: shearing(x, y, about=centre), angle, angle, about),
)
matrices = st.lists(steps, max_size=4).map(lambda many: compose(*many))
upright_matrices = st.lists(upright_steps, max_size=4).map(lambda many: compose(*many))

shift = st.floats(-0.2, 0.2)
corner_shifts = st.lists(st.tuples(shift, shift), min_size=4, max_size=4).map(np.array)
boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), *[coordinate] * 2, *[st.floats(0.5, 4000)] * 2)


def size_of(matrix, *more) -> float:
    """Return the magnitude of the numbers that take part, to which rounding is proportional."""
    return float(max(np.abs(array).max() for array in (matrix, *more))) + 1


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (identity(), (3, 4)),
        (translation(10, -1), (13, 3)),
        (scaling(2, 3), (6, 12)),
        (scaling(2, 3, about=(3, 4)), (3, 4)),
        (scaling(2, 3, about=(1, 1)), (5, 10)),
        (rotation(90), (-4, 3)),  # x goes where y was: clockwise, for y points down
        (rotation(-90), (4, -3)),
        (rotation(180, about=(3, 0)), (3, -4)),
        (rotation(450), (-4, 3)),
        (shearing(45, 0), (7, 4)),
        (shearing(0, 45), (3, 7)),
        (shearing(45, 45, about=(3, 4)), (3, 4)),
        (mirror_x(10), (7, 4)),
        (mirror_y(10), (3, 6)),
    ],
)
def test_where_a_point_goes(matrix, expected):
    assert apply(matrix, np.array([[3.0, 4.0]]))[0].tolist() == pytest.approx(expected, abs=1e-12)


def test_a_positive_rotation_is_clockwise_on_the_screen():
    right, down = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert apply(rotation(90), right).tolist() == down.tolist()
    x, y = apply(rotation(30), right)[0]
    assert (x, y) == (pytest.approx(math.sqrt(3) / 2), pytest.approx(0.5))


@given(st.integers(-8, 8), about)
def test_quarter_turns_are_exact(quarters, centre):
    matrix = rotation(90 * quarters, about=centre)
    assert set(np.abs(matrix[:2, :2]).ravel().tolist()) == {0.0, 1.0}
    assert np.array_equal(rotation(360 * quarters, about=centre), identity())


def test_compose_applies_from_left_to_right():
    point = np.array([[1.0, 1.0]])
    assert apply(compose(translation(1, 0), scaling(10, 10)), point).tolist() == [[20, 10]]
    assert apply(compose(scaling(10, 10), translation(1, 0)), point).tolist() == [[11, 10]]
    assert np.array_equal(compose(), identity())


@given(matrices, matrices, points)
def test_compose_is_one_after_the_other(first, second, rows):
    there = apply(second, apply(first, rows))
    assert np.allclose(
        apply(compose(first, second), rows), there, rtol=0, atol=1e-12 * size_of(first, rows) * size_of(second) ** 2
    )


@given(matrices, matrices, matrices)
def test_compose_is_associative(a, b, c):
    scale = size_of(a) * size_of(b) * size_of(c)
    assert np.allclose(compose(compose(a, b), c), compose(a, compose(b, c)), rtol=0, atol=1e-13 * scale)


@given(matrices)
def test_the_identity_changes_no_matrix(matrix):
    assert np.array_equal(compose(identity(), matrix), matrix)
    assert np.array_equal(compose(matrix, identity()), matrix)


@given(steps, points)
def test_the_inverse_leads_back(matrix, rows):
    back = apply(invert(matrix), apply(matrix, rows))
    assert np.allclose(back, rows, rtol=0, atol=1e-7)
    assert np.array_equal(invert(matrix)[2], [0, 0, 1])


@given(st.floats(0.001, 1e5))
def test_two_mirrors_are_the_identity_exactly(size):
    for mirror in (mirror_x(size), mirror_y(size)):
        assert np.array_equal(compose(mirror, mirror), identity())
        assert np.array_equal(invert(mirror), mirror)
    half_turn = rotation(180, about=(size / 2, size / 2))
    assert np.array_equal(compose(mirror_x(size), mirror_y(size)), half_turn)


@pytest.mark.parametrize(
    "matrix",
    [
        scaling(0, 1),
        scaling(1, 0, about=(3, 4)),
        shearing(45, 45),
        np.zeros((3, 3)),
        np.full((3, 3), np.nan),
        compose(translation(1e6, 1e6), scaling(0, 2)),
    ],
)
def test_a_singular_matrix_has_no_inverse(matrix):
    with pytest.raises(ValueError, match="singular"):
        invert(matrix)


@pytest.mark.parametrize(
    "matrix", [scaling(1e-9, 1e-9), compose(scaling(1e-6, 1), translation(1e6, 1e6)), mirror_x(1e6)]
)
def test_a_small_or_far_matrix_is_not_singular(matrix):
    assert np.allclose(compose(matrix, invert(matrix)), identity(), atol=1e-9)


@pytest.mark.parametrize("angles", [(90, 0), (0, -90), (float("nan"), 0), (135, 0)])
def test_a_shear_by_a_right_angle_is_refused(angles):
    with pytest.raises(ValueError, match=r"\(-90, 90\)"):
        shearing(*angles)


@given(corner_shifts, st.floats(1, 5000), st.floats(1, 5000))
def test_a_perspective_takes_four_points_to_four_points_and_back(shifts, width, height):
    source = rectangle(width, height)
    target = source + shifts * (width, height)
    view = perspective(source, target)
    assert np.allclose(apply(view, source), target, rtol=0, atol=1e-9 * (width + height))
    inside = source.mean(axis=0) + 0.9 * (source - source.mean(axis=0))
    assert np.allclose(apply(invert(view), apply(view, inside)), inside, rtol=0, atol=1e-8 * (width + height))


@given(st.floats(-180, 180), angle, factor, about, st.floats(10, 1000), st.floats(10, 1000))
def test_a_perspective_between_parallelograms_is_their_affine_map(degrees, shear, scale, centre, width, height):
    matrix = compose(rotation(degrees, about=centre), shearing(shear, 0), scaling(scale, abs(scale)))
    source = rectangle(width, height)
    view = perspective(source, apply(matrix, source))
    middle = source.mean(axis=0, keepdims=True)
    assert np.allclose(apply(view, middle), apply(matrix, middle), rtol=0, atol=1e-6)


@given(corner_shifts)
def test_a_straight_line_stays_straight_in_perspective(shifts):
    view = perspective(rectangle(100, 100), rectangle(100, 100) + 100 * shifts)
    (ax, ay), (bx, by), (cx, cy) = apply(view, np.array([[10.0, 20.0], [50.0, 45.0], [90.0, 70.0]])).tolist()
    assert (bx - ax) * (cy - ay) == pytest.approx((by - ay) * (cx - ax), abs=1e-8)


def test_points_at_and_behind_the_horizon_are_refused():
    view = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-0.01, 0.0, 1.0]])  # w = 0 at x = 100
    assert apply(view, np.array([[50.0, 10.0]])).tolist() == [[100, 20]]
    for x in (100.0, 101.0, float("nan")):
        with pytest.raises(ValueError, match="behind the horizon"):
            apply(view, np.array([[0.0, 0.0], [x, 10.0]]))
    with pytest.raises(ValueError, match="behind the horizon"):
        transform(Box(50, 0, 150, 10), view)
    with pytest.raises(ValueError, match="at most"):  # in front of it, but too far for a coordinate
        transform(Box(50, 1, 100 - 1e-9, 10), view)


@pytest.mark.parametrize(
    "target",
    [
        [[0, 0], [10, 0], [0, 10], [10, 10]],  # crossed: two corners would be behind the horizon
        [[0, 0], [10, 0], [2, 2], [0, 10]],  # a concave arrow
    ],
)
def test_a_view_that_needs_the_far_side_of_the_horizon_is_refused(target):
    with pytest.raises(ValueError, match="behind the horizon"):
        perspective(rectangle(10, 10), np.array(target))


def test_a_perspective_needs_four_points_in_general_position():
    with pytest.raises(ValueError, match="singular"):
        perspective(rectangle(10, 10), np.array([[0, 0], [5, 0], [10, 0], [0, 10]]))
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        perspective(rectangle(10, 10), rectangle(10, 10)[:3])


@given(upright_matrices, boxes)
def test_an_upright_box_stays_one_and_spans_its_corners(matrix, box):
    assert is_axis_aligned(matrix)
    corners = apply(matrix, np.array([[box.x1, box.y1], [box.x2, box.y1], [box.x2, box.y2], [box.x1, box.y2]]))
    assume((np.ptp(corners, axis=0) > 1e-6).all() and np.abs(corners).max() < 1e9)
    moved = transform(box, matrix)
    assert isinstance(moved, Box)
    assert moved.flat() == (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())


@pytest.mark.parametrize("matrix", [rotation(45), shearing(1, 0), shearing(0, 1), rotation(0.001)])
def test_a_turned_box_is_the_polygon_of_its_corners(matrix):
    moved = transform(Box(1, 2, 5, 8), matrix)
    assert not is_axis_aligned(matrix)
    assert isinstance(moved, Polygon)
    assert np.array_equal(moved.points, apply(matrix, np.array([[1.0, 2], [5, 2], [5, 8], [1, 8]])))
    assert area(moved) == pytest.approx(24)


def test_a_perspective_is_never_axis_aligned():
    assert not is_axis_aligned(np.array([[1.0, 0, 0], [0, 1, 0], [0.001, 0, 1]]))
    assert not is_axis_aligned(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0.001, 1]]))


@given(matrices, boxes)
def test_area_grows_by_the_determinant(matrix, box):
    moved = apply(matrix, np.array([[box.x1, box.y1], [box.x2, box.y1], [box.x2, box.y2], [box.x1, box.y2]]))
    assume(np.abs(moved).max() < 1e7 and (np.ptp(moved, axis=0) > 1e-3).all())
    (a, b, _), (c, d, _), _ = matrix.tolist()
    assume(abs(a * d - b * c) > 1e-2)
    expected = area(box) * abs(a * d - b * c)
    assert area(transform(box, matrix)) == pytest.approx(expected, rel=1e-6, abs=1e-9 * size_of(moved) ** 2)


def test_vertices_keep_their_order_in_a_mirror():
    ring = shape_from_flat("poly", (0, 0, 4, 0, 4, 3))
    line = shape_from_flat("line", (0, 0, 4, 0, 4, 3))
    assert transform(ring, mirror_x(10)) == Polygon(np.array([[10, 0], [6, 0], [6, 3]]))
    assert transform(line, mirror_x(10)) == Polyline(np.array([[10, 0], [6, 0], [6, 3]]))


@given(st.integers(1, 5000), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), min_size=3, max_size=8))
def test_two_flips_of_whole_pixels_change_nothing(width, rows):
    shape = Polygon(np.array(rows))
    assert transform(transform(shape, mirror_x(width)), mirror_x(width)) == shape


def test_a_box_that_loses_its_area_is_refused():
    with pytest.raises(ValueError, match="x1 < x2"):
        transform(Box(0, 0, 1, 1), scaling(0, 1))


def test_many_shapes_are_mapped_as_each_alone():
    shapes = [Box(1, 2, 5, 8), Polyline(np.array([[0, 0], [4, 0]])), Polygon(np.array([[0, 0], [4, 0], [4, 3]]))]
    for matrix in (rotation(30), rotation(90), mirror_x(10)):
        assert transform_all(shapes, matrix) == [transform(shape, matrix) for shape in shapes]
    assert transform_all([], rotation(30)) == []
