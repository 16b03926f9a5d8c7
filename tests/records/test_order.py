import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.geometry import Box, shape_from_flat
from qvl.records import ORDER_POLICIES, ObjectRecord, order_objects


def objects(*shapes):
    return [ObjectRecord(str(number), shape) for number, shape in enumerate(shapes)]


def descs(items):
    return [item.desc for item in items]


def test_tlbr_reads_top_to_bottom_then_left_to_right():
    boxes = objects(Box(50, 10, 60, 20), Box(0, 30, 5, 40), Box(0, 10, 5, 20))
    assert descs(order_objects(boxes, "tlbr")) == ["2", "0", "1"]


def test_tlbr_takes_the_canonical_point_of_each_kind_of_shape():
    items = objects(
        shape_from_flat("line", [90, 0, 5, 50]),  # starts at the end with the smaller x: (5, 50)
        shape_from_flat("poly", [40, 60, 20, 20, 60, 20]),  # topmost, then leftmost vertex: (20, 20)
        Box(30, 20, 40, 30),
    )
    assert descs(order_objects(items, "tlbr")) == ["1", "2", "0"]


def test_center_orders_by_the_centre_of_the_bounds():
    items = objects(Box(0, 0, 10, 100), Box(0, 20, 10, 30), Box(50, 20, 60, 30))
    assert descs(order_objects(items, "center")) == ["1", "2", "0"]


def test_none_keeps_the_order():
    items = objects(Box(0, 50, 1, 51), Box(0, 0, 1, 1))
    assert order_objects(items, "none") == tuple(items)


@pytest.mark.parametrize("policy", ORDER_POLICIES)
def test_equal_keys_keep_the_given_order(policy):
    items = objects(*[Box(0, 0, 10, 10)] * 5)
    assert order_objects(items, policy) == tuple(items)


@pytest.mark.parametrize("policy", ORDER_POLICIES)
@given(corners=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8))
def test_ordering_loses_nothing_and_twice_is_once(policy, corners):
    items = objects(*(Box(x, y, x + 5, y + 5) for x, y in corners))
    once = order_objects(items, policy)
    assert sorted(descs(once)) == sorted(descs(items))
    assert order_objects(once, policy) == once


def test_an_unknown_policy_lists_the_choices():
    with pytest.raises(ValueError, match="tlbr, center, none, got 'center_tlbr'"):
        order_objects([], "center_tlbr")
