from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qvl.geometry import Box, box_iou, shape_from_flat
from qvl.inspection.twins import find_twins
from qvl.records import ObjectRecord, Record, Source


def record(*items: tuple[str, str, list[float]]) -> Record:
    objects = tuple(ObjectRecord(desc, shape_from_flat(key, numbers)) for desc, key, numbers in items)
    return Record(images=("a",), objects=objects, width=1000, height=1000, source=Source("a", 1))


BOX = ("type=a,x=1", "bbox_2d", [100, 100, 300, 300])


def test_the_same_object_told_twice_is_found_though_its_words_differ():
    found = find_twins(
        record(BOX, ("b", "line", [0, 0, 9, 9]), ("type=a", "bbox_2d", [101, 100, 300, 300])), least=0.95
    )
    assert [(one, other) for one, other, _ in found] == [(0, 2)]


def test_other_categories_kinds_and_places_are_no_twins():
    others = [
        ("type=b", "bbox_2d", [100, 100, 300, 300]),
        ("type=a", "poly", [100, 100, 300, 100, 300, 300, 100, 300]),
        ("type=a", "bbox_2d", [100, 100, 300, 330]),
    ]
    assert find_twins(record(BOX, *others), least=0.95) == []


def test_lines_that_cross_in_the_same_bounds_are_no_twins_but_a_reversed_one_is():
    line = ("c", "line", [0, 0, 500, 500])
    crossed, reverse = ("c", "line", [0, 500, 500, 0]), ("c", "line", [500, 500, 0, 0])
    assert find_twins(record(line, crossed), least=0.9) == []
    assert len(find_twins(record(line, reverse), least=0.9)) == 1
    flat = ("c", "line", [0, 100, 500, 100])
    assert len(find_twins(record(flat, flat), least=0.95)) == 1


corners = st.tuples(st.integers(0, 8), st.integers(0, 8), st.integers(6, 12), st.integers(6, 12))


@given(st.lists(corners, max_size=7), st.sampled_from([0.5, 0.7, 0.95, 1.0]))
def test_no_pair_of_boxes_is_passed_over(found, least):
    boxes = [Box(x, y, x + w, y + h) for x, y, w, h in found]
    items = [("a", "bbox_2d", list(box.flat())) for box in boxes]
    expected = [
        (one, other)
        for one in range(len(boxes))
        for other in range(one + 1, len(boxes))
        if box_iou(boxes[one], boxes[other]) >= least
    ]
    assert [(one, other) for one, other, _ in find_twins(record(*items), least=least)] == expected
