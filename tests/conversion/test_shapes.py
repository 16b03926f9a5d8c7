"""Annotations to shapes of a row."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.conversion.annotated import Annotation, Refused
from qvl.conversion.frame import Frame
from qvl.conversion.shapes import (
    MULTI_PART_CHOICES,
    NUMBERS_CHOICES,
    SHAPE_CHOICES,
    Shaped,
    ShapeSettings,
    make_shapes,
)
from qvl.geometry import Polygon, area, identity, scaling

FRAME = Frame(100, 80, identity())
KINDS = st.sampled_from(["bbox_2d", "poly", "line", "point"])
NUMBERS = st.one_of(st.floats(-50, 150), st.integers(-2, 102).map(float), st.sampled_from([math.nan, math.inf, 1e300]))
SETTINGS = st.builds(
    ShapeSettings,
    shapes=st.sampled_from(SHAPE_CHOICES),
    multi_part=st.sampled_from(MULTI_PART_CHOICES),
    point_size=st.sampled_from([None, 4.0]),
    canonical=st.booleans(),
    numbers=st.sampled_from(NUMBERS_CHOICES),
)


def shapes(kind: Any, *parts: tuple[float, ...], **settings: Any) -> Shaped | Refused:
    return make_shapes(Annotation("cup", kind, parts, "here"), FRAME, ShapeSettings(**settings))


def made(kind: str, *parts: tuple[float, ...], **settings: Any) -> tuple[list[Any], tuple[str, ...]]:
    found = shapes(kind, *parts, **settings)
    assert isinstance(found, Shaped), found
    return [(shape.key, *shape.flat()) for shape in found.shapes], found.repairs


@pytest.mark.parametrize(
    ("kind", "part", "wanted", "repairs"),
    [
        ("bbox_2d", (1, 2, 30, 40), ("bbox_2d", 1, 2, 30, 40), ()),
        ("bbox_2d", (30, 40, 1, 2), ("bbox_2d", 1, 2, 30, 40), ("box_reversed",)),
        ("bbox_2d", (-5, 2, 30, 90), ("bbox_2d", 0, 2, 30, 80), ("clipped",)),
        ("bbox_2d", (1, 2, 100.0000001, 40), ("bbox_2d", 1, 2, 100, 40), ()),  # rounding is no repair
        ("poly", (1, 1, 9, 1, 9, 9, 1, 1), ("poly", 1, 1, 9, 1, 9, 9), ("ring_closed",)),
        ("poly", (1, 1, 9, 9, 9, 1), ("poly", 1, 1, 9, 9, 9, 1), ()),  # the order of vertices is theirs
        ("line", (-10, 5, 10, 5), ("line", 0, 5, 10, 5), ("clipped",)),
    ],
)
def test_what_can_be_repaired_safely_is_counted(
    kind: str, part: tuple[float, ...], wanted: tuple[Any, ...], repairs: tuple[str, ...]
) -> None:
    assert made(kind, part) == ([wanted], repairs)


@pytest.mark.parametrize(
    ("kind", "part", "code"),
    [
        ("bbox_2d", (10, 10, 10, 20), "degenerate"),
        ("bbox_2d", (110, 10, 120, 20), "outside"),
        ("bbox_2d", (1, 2, 3), "bad_numbers"),
        ("bbox_2d", (1, 2, math.nan, 4), "bad_numbers"),
        ("poly", (1, 1, 5, 5, 9, 9), "degenerate"),
        ("poly", (1, 1, 5, 5, 9), "bad_numbers"),
        ("line", (3, 3, 3, 3), "degenerate"),
        ("line", (1, 1, math.inf, 2), "bad_numbers"),
        ("point", (3, 3), "point"),
    ],
)
def test_what_cannot_is_refused_with_what_came(kind: str, part: tuple[float, ...], code: str) -> None:
    found = shapes(kind, part)
    assert isinstance(found, Refused)
    assert (found.code, found.where) == (code, "here")
    assert isinstance(found.came, dict) and found.came["label"] == "cup"


@pytest.mark.parametrize(
    ("multi_part", "wanted"),
    [
        ("box", [("bbox_2d", 10, 10, 60, 50)]),
        ("largest", [("poly", 40, 30, 60, 30, 60, 50)]),
        ("split", [("poly", 10, 10, 20, 10, 20, 20), ("poly", 40, 30, 60, 30, 60, 50)]),
    ],
)
def test_an_object_in_pieces_becomes_what_the_user_chose(multi_part: str, wanted: list[Any]) -> None:
    pieces = ((10, 10, 20, 10, 20, 20), (40, 30, 60, 30, 60, 50))
    assert made("poly", *pieces, multi_part=multi_part) == (wanted, (f"multi_part_{multi_part}",))


def test_of_a_polygon_that_the_edge_cuts_in_two_the_largest_part_stays() -> None:
    ring = (-10, 10, 20, 10, 20, 20, -5, 20, -5, 40, 20, 40, 20, 50, -10, 50)  # a C, open to the right
    found, repairs = made("poly", ring)
    assert [(key, area(Polygon(np.reshape(numbers, (-1, 2))))) for key, *numbers in found] == [("poly", 200)]
    assert repairs == ("clipped",)


@pytest.mark.parametrize(
    ("kind", "part", "wanted"),
    [
        ("bbox_2d", (0, 0, 99, 79), ("bbox_2d", 0, 0, 100, 80)),  # the whole picture, first to last pixel
        ("bbox_2d", (9, 5, 9, 5), ("bbox_2d", 9, 5, 10, 6)),  # one pixel
        ("line", (0, 0, 99, 79), ("line", 0.5, 0.5, 99.5, 79.5)),
    ],
)
def test_numbers_that_name_pixels_become_edges(kind: str, part: tuple[float, ...], wanted: tuple[Any, ...]) -> None:
    assert made(kind, part, numbers="centers") == ([wanted], ("pixel_centers",))


def test_shares_of_a_picture_name_no_pixels() -> None:
    frame = Frame(100, 80, scaling(100, 80), unit="share")
    found = make_shapes(Annotation("cup", "bbox_2d", ((0, 0, 1, 1),), "here"), frame, ShapeSettings(numbers="centers"))
    assert isinstance(found, Shaped)
    assert (found.shapes[0].flat(), found.repairs) == ((0, 0, 100, 80), ())


def test_boxes_are_written_around_shapes_on_request() -> None:
    assert made("poly", (1, 1, 9, 1, 9, 9), shapes="boxes")[0] == [("bbox_2d", 1, 1, 9, 9)]
    upright_line = shapes("line", (5, 1, 5, 9), shapes="boxes")
    assert isinstance(upright_line, Refused) and upright_line.code == "degenerate"


def test_a_point_becomes_a_box_on_request() -> None:
    assert made("point", (2, 40), point_size=10) == ([("bbox_2d", 0, 35, 7, 45)], ("point_to_box", "clipped"))


def test_the_canonical_form_is_made_on_request_only() -> None:
    assert made("poly", (9, 9, 1, 1, 9, 1), canonical=True)[0] == [("poly", 1, 1, 9, 1, 9, 9)]
    assert made("poly", (9, 9, 1, 1, 9, 1))[0] == [("poly", 9, 9, 1, 1, 9, 1)]


@given(KINDS, st.lists(st.lists(NUMBERS, max_size=9).map(tuple), max_size=3), SETTINGS)
def test_whatever_comes_is_refused_or_lies_in_the_picture(
    kind: Any, parts: list[tuple[float, ...]], settings: ShapeSettings
) -> None:
    found = make_shapes(Annotation("cup", kind, tuple(parts), "here"), FRAME, settings)
    if isinstance(found, Refused):
        return
    assert len(found.shapes) == 1 or settings.multi_part == "split"
    for shape in found.shapes:
        x1, y1, x2, y2 = shape.bounds()
        assert 0 <= x1 <= x2 <= 100 and 0 <= y1 <= y2 <= 80
        assert shape.key == "line" or area(shape) > 0
