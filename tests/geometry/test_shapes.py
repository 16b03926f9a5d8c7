"""Shapes hold what they were given, refuse what cannot be, and behave as values."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from qvl.geometry import KEYS, Box, Polygon, Polyline, shape_from_flat

FLAT = {"bbox_2d": (1.0, 2.0, 3.5, 4.0), "poly": (0.0, 0.0, 4.0, 0.0, 4.0, 3.0), "line": (5.0, 5.0, 1.0, 2.0)}


@pytest.mark.parametrize("key", KEYS)
def test_flat_numbers_survive_the_way_through_a_shape(key):
    shape = shape_from_flat(key, FLAT[key])
    assert isinstance(shape, KEYS[key])
    assert shape.key == key
    assert shape.flat() == FLAT[key]
    assert shape.points.dtype == np.float64
    assert tuple(shape.points.ravel()) == FLAT[key]


@pytest.mark.parametrize(
    ("key", "numbers", "complaint"),
    [
        ("quad", [0, 0, 1, 0, 1, 1, 0, 1], "unknown geometry 'quad', allowed are bbox_2d, poly, line"),
        ("bbox_2d", [0, 0, 1], "bbox_2d needs 4 numbers, got 3"),
        ("bbox_2d", [0, 0, 1, 1, 2, 2], "bbox_2d needs 4 numbers, got 6"),
        ("bbox_2d", [2, 0, 1, 1], "x1 < x2"),  # reversed
        ("bbox_2d", [0, 1, 1, 1], "y1 < y2"),  # no area
        ("poly", [0, 0, 1, 1], "even count of numbers >= 6, got 4"),
        ("poly", [0, 0, 1, 1, 2, 0, 3], "even count of numbers >= 6, got 7"),
        ("line", [0, 0], "even count of numbers >= 4, got 2"),
        ("line", [0, 0, 1, 1, 2], "even count of numbers >= 4, got 5"),
        ("line", [], "even count of numbers >= 4, got 0"),
        ("bbox_2d", [0, 0, float("nan"), 1], "finite"),
        ("poly", [0, 0, 1, 0, float("inf"), 1], "finite"),
        ("line", [0, 0, 1, float("nan")], "finite"),
        ("line", [0, 0, 1, 1e300], "at most 1e\\+09"),
        ("poly", [0, 0, 1, 0, 1, 10**400], "at most 1e\\+09"),  # a model can write such an integer
    ],
)
def test_impossible_numbers_are_refused_with_what_is_allowed(key, numbers, complaint):
    with pytest.raises(ValueError, match=complaint):
        shape_from_flat(key, numbers)


@pytest.mark.parametrize("points", [[1.0, 2.0, 3.0], [[1.0, 2.0, 3.0]] * 3, [[1.0, 2.0]]])
def test_points_of_another_shape_are_refused(points):
    with pytest.raises(ValueError, match="points must have shape"):
        Polygon(np.array(points))


def test_bounds_enclose_all_points():
    assert Box(1, 2, 3, 4).bounds() == (1, 2, 3, 4)
    assert Polygon(np.array([[5, 1], [9, 4], [2, 8]])).bounds() == (2, 1, 9, 8)
    assert Polyline(np.array([[5, 5], [5, 9]])).bounds() == (5, 5, 5, 9)


@pytest.mark.parametrize("key", KEYS)
def test_points_are_read_only_also_after_pickling_and_copying(key):
    shape = shape_from_flat(key, FLAT[key])
    for same in (shape, pickle.loads(pickle.dumps(shape)), copy.deepcopy(shape)):
        assert same == shape
        with pytest.raises(ValueError, match="read-only"):
            same.points[0, 0] = 7.0


def test_a_shape_does_not_change_with_the_array_it_was_made_from():
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    line = Polyline(points)
    points[0, 0] = 9.0
    assert line.flat() == (0.0, 0.0, 1.0, 1.0)


def test_equal_values_are_equal_keys():
    ring = np.array([[0, 0], [4, 0], [4, 3]])
    assert {Polygon(ring), Polygon(ring.astype(float)), Polygon(-0.0 * ring + ring)} == {Polygon(ring)}
    assert hash(Polyline(np.array([[0.0, 1.0], [1.0, 1.0]]))) == hash(Polyline(np.array([[-0.0, 1.0], [1.0, 1.0]])))
    assert Polygon(ring) != Polygon(ring[::-1])
    assert Polygon(ring) != Polyline(ring)  # the same points, another kind
    assert Polygon(ring) != "poly"
