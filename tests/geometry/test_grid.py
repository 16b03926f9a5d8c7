"""Grid numbers are exact to half a cell and never leave the grid."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.geometry import GRIDS, from_grid, round_half_up, to_grid

grids = st.sampled_from([100, 1000])
sides = st.integers(1, 8000)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.5, 1), (1.5, 2), (2.5, 3), (-0.5, 0), (-1.5, -1), (2.4999, 2), (0.49999999999999994, 0), (7, 7)],
)
def test_halves_are_rounded_upwards(value, rounded):
    assert round_half_up(value) == rounded


@given(st.floats(-1e15, 1e15))
def test_rounding_agrees_with_exact_arithmetic(value):
    exact = Fraction(value)
    assert -Fraction(1, 2) <= exact - round_half_up(value) < Fraction(1, 2)


@pytest.mark.parametrize(
    ("pixel", "number"),
    [
        (0, 0),
        (64, 1000),  # the right edge is the last grid number
        (32, 500),
        (0.032, 1),  # 0.5 of a cell goes up
        (0.16, 3),  # 2.5 too, though it would be 2 if halves went to the even number
        (-3, 0),  # clamped
        (70, 1000),
    ],
)
def test_pixels_become_grid_numbers(pixel, number):
    assert to_grid([pixel, 0], width=64, height=48, grid=1000) == (number, 0)


def test_x_goes_with_the_width_and_y_with_the_height():
    assert to_grid([10, 10, 20, 20], width=20, height=40, grid=100) == (50, 25, 100, 50)
    assert from_grid([50, 25, 100, 50], width=20, height=40, grid=100) == (10, 10, 20, 20)


@given(st.data(), sides, sides, grids)
def test_a_pixel_comes_back_within_half_a_cell(data, width, height, grid):
    pixels = data.draw(st.tuples(st.floats(0, width), st.floats(0, height)))
    back = from_grid(to_grid(pixels, width=width, height=height, grid=grid), width=width, height=height, grid=grid)
    for pixel, returned, side in zip(pixels, back, (width, height), strict=True):
        assert abs(pixel - returned) <= side / grid / 2 * (1 + 1e-9)


@given(st.data(), sides, sides, grids)
def test_a_grid_number_comes_back_exactly(data, width, height, grid):
    numbers = data.draw(st.lists(st.tuples(st.integers(0, grid), st.integers(0, grid))).map(lambda p: sum(p, ())))
    pixels = from_grid(numbers, width=width, height=height, grid=grid)
    assert to_grid(pixels, width=width, height=height, grid=grid) == numbers


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))).map(lambda p: sum(p, ())), sides, grids)
def test_no_number_leaves_the_grid(pixels, side, grid):
    numbers = to_grid(pixels, width=side, height=side, grid=grid)
    assert all(isinstance(number, int) and 0 <= number <= grid for number in numbers)


@pytest.mark.parametrize("convert", [to_grid, from_grid])
def test_half_a_point_and_an_empty_picture_are_refused(convert):
    with pytest.raises(ValueError, match="pairs, got 3"):
        convert([1, 2, 3], width=10, height=10, grid=100)
    with pytest.raises(ValueError, match="positive, got 0, 10"):
        convert([1, 2], width=0, height=10, grid=100)


def test_every_emit_norm_has_a_grid():
    assert GRIDS == {"none": None, "norm100": 100, "norm1000": 1000}
