from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.inspection import MENDS, mend
from qvl.inspection.mending import may_need
from qvl.records import Source, validate_row

NAN = float("nan")


def row(**item: object) -> dict[str, object]:
    return {"images": ["a.png"], "width": 100, "height": 50, "objects": [{"desc": "x", **item}]}


def mended(before: dict[str, object], size: tuple[int, int] | None = None) -> tuple[dict[str, object], list[str]]:
    after, changes = mend(before, picture_size=lambda: size)
    return after, [change.code for change in changes]


@pytest.mark.parametrize(
    ("item", "after", "codes"),
    [
        ({"bbox_2d": [9, 8, 2, 3]}, {"bbox_2d": [2, 3, 9, 8]}, ["box_reversed"]),
        ({"bbox_2d": [-1, 0, 101, 50.5]}, {"bbox_2d": [0, 0, 100, 50]}, ["clamped"]),
        ({"bbox_2d": [101, 0, 2, 3]}, {"bbox_2d": [2, 0, 100, 3]}, ["clamped", "box_reversed"]),
        ({"bbox_2d": [[1, 2], [3, 4]]}, {"bbox_2d": [1, 2, 3, 4]}, ["list_flattened"]),
        ({"quad": [0, 0, 9, 0, 9, 9, 0, 9]}, {"poly": [0, 0, 9, 0, 9, 9, 0, 9]}, ["quad_renamed"]),
        ({"poly": [0, 0, 9, 0, 9, 9, 0, 0]}, {"poly": [0, 0, 9, 0, 9, 9]}, ["ring_closed"]),
        ({"desc": " a ", "line": [0, 0, 9, 9]}, {"desc": "a", "line": [0, 0, 9, 9]}, ["blanks_stripped"]),
        ({"desc": "a\t\nb", "line": [0, 0, 9, 9]}, {"desc": "a b", "line": [0, 0, 9, 9]}, ["text_on_one_line"]),
    ],
)
def test_what_has_one_reading_only_is_mended(item, after, codes):
    assert mended(row(**item)) == (row(**after), codes)
    assert validate_row(row(**after), source=Source("a", 1)) == []


@pytest.mark.parametrize(
    "item",
    [
        {"bbox_2d": [-1.5, 0, 9, 9]},  # too far outside for a rounding
        {"bbox_2d": [-0.5, 0, 300, 9]},  # one corner could be moved, the other not: nothing is
        {"bbox_2d": [5, 5, 5, 9]},  # no area, swapped or not
        {"bbox_2d": [100, 5, 101, 9]},  # moving the edge would leave nothing
        {"bbox_2d": [9, NAN, 2, 3]},
        {"bbox_2d": [9, 10**400, 2, 3]},
        {"bbox_2d": [9, 8, 2]},
        {"quad": [0, 0, 9, 0, 9, 9]},
        {"poly": [0, 0, 9, 0, 0, 0]},  # two points
        {"bbox_2d": [9, 8, 2, 3], "line": [0, 0, 9, 9]},  # two shapes
        {"bbox_2d": "1,2,3,4"},
        {"desc": "  ", "line": [0, 0, 9, 9]},
    ],
)
def test_what_has_to_be_guessed_is_left_alone(item):
    after, codes = mended(row(**item))
    assert codes == []
    assert repr(after) == repr(row(**item))


@pytest.mark.parametrize(
    ("change", "size", "after"),
    [
        ({"width": None}, (100, 50), (100, 50)),
        ({"width": 0, "height": 0}, (100, 50), (100, 50)),
        ({"width": None}, None, (None, 50)),  # the picture cannot be read
        ({"width": None}, (100, 60), (None, 50)),  # the height says another picture
        ({"width": None}, (8, 50), (None, 50)),  # the shapes do not fit
        ({"width": 90}, (100, 50), (90, 50)),  # a wrong size may belong to shapes of another scale
    ],
)
def test_a_size_is_filled_in_only_if_everything_fits(change, size, after):
    found, _ = mended(row(bbox_2d=[1, 1, 9, 9]) | change, size)
    assert (found["width"], found["height"]) == after


numbers = st.lists(st.one_of(st.integers(-3, 104), st.floats(-2, 102), st.just(NAN)), min_size=2, max_size=10)
items = st.fixed_dictionaries({"desc": st.text("ab \t", max_size=4)}) | st.builds(
    lambda desc, key, values: {"desc": desc, key: values},
    st.text("ab \t\u2028", max_size=4),
    st.sampled_from(["bbox_2d", "poly", "line", "quad"]),
    numbers | st.lists(st.lists(st.integers(0, 50), min_size=2, max_size=2), max_size=5),
)


@given(st.lists(items, max_size=3))
def test_mending_adds_no_finding_changes_no_input_and_is_done_at_once(objects):
    before = {"images": ["a.png"], "width": 100, "height": 50, "objects": objects}
    copied = copy.deepcopy(before)
    after, changes = mend(before, picture_size=lambda: (100, 50))
    assert repr(before) == repr(copied)
    assert {change.code for change in changes} <= set(MENDS)
    assert repr(mend(after, picture_size=lambda: (100, 50))) == repr((after, []))
    codes = [{finding.code for finding in validate_row(one, source=Source("a", 1))} for one in (before, after)]
    assert codes[1] <= codes[0]
    assert not changes or codes[0] or may_need(before)  # a row without findings is mended only where the hint says so
