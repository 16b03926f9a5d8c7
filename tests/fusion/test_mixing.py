from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.fusion import SourceSpec, draw_rows, quotas

counts = st.integers(1, 60)


def order(epoch: int = 0):
    return lambda copy: np.random.default_rng([epoch, copy])


def drawn(rows: int, quota: int, *, epoch: int = 0) -> list[int]:
    return draw_rows(SourceSpec("a", rows), quota, order(epoch))[0].tolist()


@given(counts, st.floats(0, 3))
def test_a_row_comes_as_often_as_its_neighbours_or_once_more(rows, ratio):
    quota = quotas([SourceSpec("a", rows, ratio), SourceSpec("b", 1)])["a"]
    found, copies = draw_rows(SourceSpec("a", rows), quota, order(2))
    often = Counter(found.tolist())
    full, rest = divmod(quota, rows)
    assert len(found) == quota
    assert all(often[row] in (full, full + 1) for row in range(rows))
    assert sum(count == full + 1 for count in often.values()) == rest
    assert sorted(zip(found.tolist(), copies.tolist(), strict=True)) == sorted(
        (row, copy) for row, count in often.items() for copy in range(count)
    )


def test_auxiliary_sources_are_measured_by_the_targets_together():
    specs = [
        SourceSpec("a", 100),
        SourceSpec("b", 50, 0.5),
        SourceSpec("c", 10, 0.2, "auxiliary"),
        SourceSpec("d", 0, 0.0, "auxiliary"),
    ]
    assert quotas(specs) == {"a": 100, "b": 25, "c": 25, "d": 0}


def test_halves_are_rounded_up_and_not_to_even():
    assert quotas([SourceSpec("a", 1, 0.5), SourceSpec("b", 5, 0.5)]) == {"a": 1, "b": 3}


def test_copies_have_orders_of_their_own():
    both = drawn(50, 100)
    assert sorted(both[:50]) == sorted(both[50:]) == list(range(50))
    assert both[:50] != both[50:]


def test_what_is_left_out_in_one_epoch_comes_in_others():
    seen = set(np.concatenate([drawn(20, 5, epoch=epoch) for epoch in range(30)]).tolist())
    assert seen == set(range(20))


def test_without_shuffling_the_order_of_the_file_is_kept():
    assert draw_rows(SourceSpec("a", 3), 7, None)[0].tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([("a", 3), ("a", 4)], "a more than once"),
        ([("a", 3, 1.0, "auxiliary")], "rows of a target"),
        ([("a", 3, 0.0)], "rows of a target"),
        ([], "rows of a target"),
    ],
)
def test_a_mix_that_gives_nothing_is_refused(specs, message):
    with pytest.raises(ValueError, match=message):
        quotas([SourceSpec(*spec) for spec in specs])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (("", 3), "name"),
        (("a", 3, -1.0), "ratio"),
        (("a", 3, float("nan")), "ratio"),
        (("a", 3, 1.0, "source"), "role"),
        (("a", 0, 0.5), "no row"),
    ],
)
def test_an_impossible_source_names_what_is_wrong(spec, message):
    with pytest.raises(ValueError, match=message):
        SourceSpec(*spec)
