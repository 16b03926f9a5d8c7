from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.data.pairing import epoch_order, group_bounds, num_groups, plan_groups

sizes = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@given(st.integers(0, 60), sizes, st.integers(0, 5))
def test_every_row_stands_in_exactly_one_group(num_rows, group_sizes, epoch):
    groups = plan_groups(num_rows, group_sizes, epoch_order(1, epoch, "train"))
    assert sorted(row for group in groups for row in group) == list(range(num_rows))
    assert len(groups) == len(group_bounds(num_rows, group_sizes)) - 1 or num_rows == 0
    assert num_groups(num_rows, group_sizes) == len(group_bounds(num_rows, group_sizes)) - 1


@given(st.integers(1, 60), st.integers(1, 4))
def test_only_the_last_group_may_be_short(num_rows, size):
    lengths = [len(group) for group in plan_groups(num_rows, [size], epoch_order(1, 0, "train"))]
    assert all(length == size for length in lengths[:-1])
    assert 1 <= lengths[-1] <= size


def test_epochs_seeds_and_names_have_their_own_permutations():
    orders = [
        epoch_order(*key).permutation(100).tolist() for key in ((1, 0, "a"), (1, 1, "a"), (2, 0, "a"), (1, 0, "b"))
    ]
    assert len({tuple(order) for order in orders}) == 4
    assert epoch_order(1, 0, "a").permutation(100).tolist() == orders[0]


def test_without_a_generator_the_order_of_the_file_is_kept():
    assert np.concatenate(plan_groups(5, [2], None)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("bad", [[], [0], [2, -1]])
def test_impossible_sizes_are_refused(bad):
    with pytest.raises(ValueError, match="group sizes"):
        group_bounds(4, bad)
