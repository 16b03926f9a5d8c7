"""Where values lie on a plot, and lines with fewer points."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qvl.sweep import Point
from qvl.sweep.axes import make_axis, thin

VALUES = st.lists(st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-9), max_size=8)
POINTS = st.lists(st.floats(-10, 10), max_size=90).map(lambda values: [Point(*pair) for pair in enumerate(values)])


@given(VALUES, st.booleans())
def test_every_value_lies_on_the_axis_and_order_is_kept(values: list[float], log: bool) -> None:
    axis = make_axis(values, 60, 640, may_be_log=log)
    places = [axis.place(value) for value in sorted(values)]
    assert all(60 - 1e-6 <= place <= 640 + 1e-6 for place in places)
    assert places == sorted(places)


@given(VALUES, st.booleans())
def test_ticks_rise_and_lie_on_the_axis(values: list[float], log: bool) -> None:
    axis = make_axis(values, 280, 10, may_be_log=log)
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 7
    assert ticks == sorted(set(ticks))
    assert all(10 - 1 <= axis.place(tick) <= 280 + 1 for tick in ticks)


def test_learning_rates_get_a_logarithmic_axis() -> None:
    axis = make_axis([1e-5, 1e-4, 1e-3], 0, 100, may_be_log=True)
    assert axis.is_log
    assert axis.ticks() == [1e-5, 1e-4, 1e-3]
    assert abs(axis.place(1e-4) - 50) < 1e-9


@given(POINTS, st.integers(4, 40))
def test_a_thinned_line_keeps_its_ends_and_extremes(points: list[Point], most: int) -> None:
    kept = thin(points, most)
    assert len(kept) <= most
    assert kept == sorted(set(kept))
    assert set(kept) <= set(points)
    if points:
        assert (kept[0], kept[-1]) == (points[0], points[-1])
        assert {min(point.value for point in kept), max(point.value for point in kept)} == {
            min(point.value for point in points),
            max(point.value for point in points),
        }
