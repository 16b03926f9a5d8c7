"""Overlaps of many pictures at once are those of each pair of shapes alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.geometry import Box, Polygon, Polyline, overlap
from qvl.metrics import Labelled, overlaps
from qvl.metrics.objects import pack
from qvl.metrics.overlaps import iter_overlaps, measure

number = st.integers(0, 8).map(float)
point = st.tuples(number, number)
shapes = st.one_of(
    st.builds(lambda x, y, w, h: Box(x, y, x + w + 1, y + h + 1), number, number, number, number),
    st.lists(point, min_size=3, max_size=6).map(lambda points: Polygon(np.array(points))),
    st.lists(point, min_size=2, max_size=4).map(lambda points: Polyline(np.array(points))),
)
sides = st.lists(st.lists(st.builds(Labelled, st.sampled_from("ab"), shapes), max_size=4), min_size=3, max_size=3)


def listed(left, right, minimum):
    numbers: dict[str, int] = {}
    table = measure(pack(left, numbers), pack(right, numbers), minimum=minimum, line_tolerance=2.0)
    return dict(zip(zip(table.left.tolist(), table.right.tolist(), strict=True), table.value.tolist(), strict=True))


@given(sides, sides, st.sampled_from([0.01, 0.5]))
@settings(max_examples=50, deadline=None)
def test_every_pair_of_a_picture_that_overlaps_enough_is_listed_with_its_overlap(left, right, minimum):
    expected, rows, columns = {}, 0, 0
    for true, said in zip(left, right, strict=True):
        for i, a in enumerate(true):
            for j, b in enumerate(said):
                value = overlap(a.shape, b.shape, line_tolerance=2.0)
                if value >= minimum:
                    expected[rows + i, columns + j] = value
        rows, columns = rows + len(true), columns + len(said)
    assert listed(left, right, minimum) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.builds(Box, number, number, number.map(lambda x: x + 9.3), number.map(lambda x: x + 9.7))))
def test_overlaps_of_boxes_are_the_same_to_the_last_bit(boxes):
    items = [Labelled("a", box) for box in boxes]
    for (i, j), value in listed([items], [items], 0.1).items():
        assert value == overlap(boxes[i], boxes[j], line_tolerance=2.0)


@given(sides)
@settings(max_examples=30, deadline=None)
def test_a_side_against_itself_has_each_pair_once(side):
    items = pack(side, {})
    for part in iter_overlaps(items, items, minimum=0.1, line_tolerance=2.0, same_category=True):
        assert (part.left < part.right).all()
        assert (items.picture[part.left] == items.picture[part.right]).all()
        assert (items.category[part.left] == items.category[part.right]).all()


def test_thousands_of_equal_objects_are_measured_part_by_part():
    items = pack([[Labelled("a", Box(0, 0, 10, 10))] * 1500], {})
    parts = list(iter_overlaps(items, items, minimum=0.9, line_tolerance=2.0))
    assert sum(len(part.left) for part in parts) == 1500 * 1499 // 2
    assert max(len(part.left) for part in parts) <= overlaps._MAX_PAIRS
