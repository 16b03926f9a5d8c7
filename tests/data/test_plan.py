from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.data.plan import Ticket, num_turns, plan_epoch
from qvl.fusion import SourceSpec

mixes = st.lists(st.tuples(st.integers(1, 30), st.floats(0, 2.5), st.integers(1, 4)), min_size=1, max_size=3)


def tickets(plan):
    return [plan.ticket(turn) for turn in range(len(plan))]


@given(mixes, st.integers(0, 3))
def test_every_drawn_row_stands_in_exactly_one_turn(mix, epoch):
    specs = [SourceSpec(f"s{number}", rows, ratio) for number, (rows, ratio, _) in enumerate(mix)]
    specs.append(SourceSpec("always", 3))
    sizes = [size for _, _, size in mix] + [2]
    plan = plan_epoch(specs, sizes, epoch=epoch, seed=1)
    seen = [
        (ticket.source, row, copy)
        for ticket in tickets(plan)
        for row, copy in zip(ticket.rows, ticket.copies, strict=True)
    ]
    assert len(seen) == len(set(seen)) == len(plan.rows)
    for number, turns in enumerate(num_turns(specs, sizes)):
        mine = [ticket for ticket in tickets(plan) if ticket.source == number]
        assert len(mine) == turns
        assert sum(len(ticket.rows) < sizes[number] for ticket in mine) <= 1


def test_one_source_keeps_the_order_in_which_it_is_drawn():
    plan = plan_epoch([SourceSpec("a", 5)], [2], epoch=0, seed=1, shuffle=False)
    assert [ticket.rows for ticket in tickets(plan)] == [(0, 1), (2, 3), (4,)]


def test_the_turns_of_several_sources_are_mixed_and_those_of_one_epoch_are_always_the_same():
    specs = [SourceSpec("a", 40), SourceSpec("b", 40)]
    orders = [
        [(t.source, t.rows) for t in tickets(plan_epoch(specs, [1, 1], epoch=epoch, seed=1))] for epoch in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    sources = [source for source, _ in orders[0]]
    assert sources != sorted(sources)
    assert 5 < sum(sources[:40]) < 35


def test_a_source_keeps_its_rows_whatever_stands_beside_it():
    alone = plan_epoch([SourceSpec("a", 20, 0.5)], [1], epoch=2, seed=1)
    mixed = plan_epoch([SourceSpec("a", 20, 0.5), SourceSpec("b", 9)], [1, 1], epoch=2, seed=1)
    assert {t.rows for t in tickets(alone)} == {t.rows for t in tickets(mixed) if t.source == 0}


def test_a_turn_that_does_not_exist_is_an_error():
    plan = plan_epoch([SourceSpec("a", 5)], [2], epoch=0, seed=1)
    for turn in (-1, 3):
        with pytest.raises(IndexError, match="3 user turns"):
            plan.ticket(turn)


def test_a_ticket_travels():
    ticket = Ticket(1, 0, (3, 4), (0, 0), 0.5)
    assert pickle.loads(pickle.dumps(ticket)) == ticket


def test_names_epochs_and_seeds_have_orders_of_their_own():
    orders = [
        tickets(plan_epoch([SourceSpec(name, 50)], [1], epoch=epoch, seed=seed))
        for name, epoch, seed in (("a", 0, 1), ("b", 0, 1), ("a", 1, 1), ("a", 0, 2))
    ]
    assert len({tuple(ticket.rows for ticket in order) for order in orders}) == 4
