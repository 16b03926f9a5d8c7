"""The model's size is the one Qwen's own code comes to."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from qwen_vl_utils.vision_process import smart_resize

from qvl.geometry import model_size

sides = st.one_of(st.integers(1, 300), st.integers(1, 9000))
factors = st.sampled_from([14, 28, 32])
tokens = st.one_of(st.integers(1, 60), st.integers(1, 20_000))


@given(sides, sides, factors, tokens, tokens, st.integers(0, 100))
def test_it_is_the_size_of_upstream(width, height, factor, least, most, odd):
    limits = {
        "min_pixels": min(least, most) * factor**2 + odd,
        "max_pixels": max(least, most) * factor**2 + odd,
    }
    assume(max(width, height) <= 200 * min(width, height))
    rows, columns = smart_resize(height, width, factor, **limits)
    assume(rows and columns and max(rows, columns) <= 200 * min(rows, columns))  # what upstream would not read again
    assert model_size(width, height, factor=factor, **limits) == (columns, rows)


@given(sides, sides, factors, st.integers(1, 2000), st.integers(16, 400), st.integers(0, 100))
def test_a_size_of_the_model_is_its_own(width, height, factor, least, wider, odd):
    limits = {"min_pixels": least * factor**2 + odd, "max_pixels": (least * factor**2 + odd) * wider}
    try:
        size = model_size(width, height, factor=factor, **limits)
    except ValueError:
        assume(False)
    assert limits["min_pixels"] <= size[0] * size[1] <= limits["max_pixels"]
    assert size[0] % factor == size[1] % factor == 0
    assert model_size(*size, factor=factor, **limits) == size
    assert smart_resize(size[1], size[0], factor, **limits) == size[::-1]


@given(sides, sides, factors, st.integers(1, 50))
def test_no_side_is_ever_nothing(width, height, factor, most):
    assume(max(width, height) <= 200 * min(width, height))
    try:
        columns, rows = model_size(width, height, factor=factor, min_pixels=1, max_pixels=most * factor**2)
    except ValueError as error:
        assert "ratio" in str(error)
        return
    assert columns >= factor
    assert rows >= factor
    assert columns * rows <= most * factor**2


def test_a_long_picture_keeps_one_factor_where_upstream_says_0():
    limits = {"factor": 32, "min_pixels": 32**2, "max_pixels": 100 * 32**2}
    assert smart_resize(40, 8000, **limits)[0] == 0
    assert model_size(8000, 40, **limits) == (100 * 32, 32)
    assert model_size(40, 8000, **limits) == (32, 100 * 32)
    assert model_size(100 * 32, 32, **limits) == (100 * 32, 32)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (640, 480)),
        ((650, 470), (640, 480)),
        ((1, 1), (64, 64)),  # up to 4 tokens
        ((4000, 3000), (1152, 864)),
    ],
)
def test_known_sizes(size, expected):
    assert model_size(*size, factor=32, min_pixels=4 * 32**2, max_pixels=1000 * 32**2) == expected


@pytest.mark.parametrize("size", [(20_000, 1), (1, 201), (6500, 33)])
def test_a_picture_longer_than_200_times_its_short_side_is_refused(size):
    with pytest.raises(ValueError, match="ratio of the sides must be at most 200"):
        model_size(*size, factor=32, min_pixels=4 * 32**2, max_pixels=16384 * 32**2)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"width": 0}, "at least 1"),
        ({"height": -3}, "at least 1"),
        ({"factor": 0}, "at least 1"),
        ({"max_pixels": 1023}, "32 x 32"),
        ({"min_pixels": 10_000, "max_pixels": 9_999}, "min_pixels"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(changed, words):
    sound = {"width": 10, "height": 10, "factor": 32, "min_pixels": 1, "max_pixels": 10_000}
    with pytest.raises(ValueError, match=words):
        model_size(**{**sound, **changed})
