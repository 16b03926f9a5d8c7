from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qvl.inference import Unit
from qvl.inference.turns import cut_turns, first_turn

UNITS = st.lists(st.one_of(st.just(0), st.integers(1, 5)), max_size=12).map(
    lambda counts: [
        Unit(source=str(number), pictures=("x.png",) * max(count, 1), roots=(), grouped=count > 0)
        for number, count in enumerate(counts)
    ]
)


@given(units=UNITS, most=st.integers(1, 4))
def test_every_picture_is_asked_about_once_in_order(units: list[Unit], most: int) -> None:
    turns = cut_turns(units, images_per_turn=most)
    places = [tuple(place) for turn in turns for place in turn]
    assert places == [(number, slot) for number, unit in enumerate(units) for slot in range(len(unit.pictures))]
    assert all(1 <= len(turn) <= most for turn in turns)


@given(units=UNITS, most=st.integers(1, 4))
def test_no_turn_holds_pictures_of_a_group_and_of_something_else(units: list[Unit], most: int) -> None:
    for turn in cut_turns(units, images_per_turn=most):
        if any(units[place.unit].grouped for place in turn):
            assert len({place.unit for place in turn}) == 1


@given(units=UNITS, most=st.integers(1, 4), batch=st.integers(1, 4), data=st.data())
def test_a_second_start_asks_whole_batches_of_the_first_one(units, most, batch, data) -> None:
    turns = cut_turns(units, images_per_turn=most)
    unit = data.draw(st.integers(0, len(units)))
    start = first_turn(turns, unit, batch_size=batch)
    assert start % batch == 0 or start >= len(turns)
    missed = {place.unit for turn in turns[:start] for place in turn}
    assert all(number < unit for number in missed)
    if unit < len(units):
        assert any(place.unit <= unit for turn in turns[start : start + batch] for place in turn)
