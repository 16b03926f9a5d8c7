"""A curriculum is a function from the progress of the training to values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.augmentation.curriculum import parse_phases, values_at

BASE = {"p": 0.5, "rotate.max_degrees": 10.0, "color.range": (0.8, 1.2)}
CURRICULUM = [
    {"until": 0.2, "values": {"p": 0.7}},
    {"until": 0.6, "values": {"rotate.max_degrees": 20, "p": 0.3, "color.range": [0.6, 1.6]}},
]


def test_no_phase_is_no_curriculum() -> None:
    assert parse_phases([], BASE) == ()


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0.0, {"p": 0.5, "rotate.max_degrees": 10, "color.range": (0.8, 1.2)}),
        (0.1, {"p": 0.6, "rotate.max_degrees": 10, "color.range": (0.8, 1.2)}),
        (0.2, {"p": 0.7, "rotate.max_degrees": 10, "color.range": (0.8, 1.2)}),
        (0.4, {"p": 0.5, "rotate.max_degrees": 15, "color.range": (0.7, 1.4)}),
        (0.6, {"p": 0.3, "rotate.max_degrees": 20, "color.range": (0.6, 1.6)}),
        (1.0, {"p": 0.3, "rotate.max_degrees": 20, "color.range": (0.6, 1.6)}),
    ],
)
def test_values_move_linearly_and_then_stay(progress: float, expected: dict[str, object]) -> None:
    values = values_at(parse_phases(CURRICULUM, BASE), progress)
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        assert values[name] == pytest.approx(value), name


@given(st.floats(0, 1), st.floats(0, 1))
def test_values_have_no_jumps(a: float, b: float) -> None:
    phases = parse_phases(CURRICULUM, BASE)
    degrees = [values_at(phases, progress)["rotate.max_degrees"] for progress in (a, b)]
    assert abs(degrees[1] - degrees[0]) <= 25 * abs(a - b) + 1e-9


def test_a_parameter_that_a_later_phase_leaves_out_keeps_its_value() -> None:
    phases = parse_phases([{"until": 0.5, "values": {"p": 1}}, {"until": 1, "values": {"rotate.max_degrees": 0}}], BASE)
    assert values_at(phases, 0.75) == {"p": 1, "rotate.max_degrees": 5}


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ({"until": 0.2, "values": {"p": 1}}, r"phase 2: until must be a fraction in \(0.2, 1\], got 0.2"),
        ({"until": 40, "values": {"p": 1}}, r"phase 2: until must be a fraction in \(0.2, 1\], got 40"),
        ({"until": True, "values": {"p": 1}}, "phase 2: until must be a fraction"),
        ({"until": "1", "values": {"p": 1}}, "phase 2: until must be a fraction"),
        ({"values": {"p": 1}}, "phase 2: expected the keys until and values, got values"),
        ({"until": 1, "ops": {}}, "phase 2: expected the keys until and values, got until, ops"),
        ({"until": 1, "values": {}}, "phase 2: values must name a parameter"),
        (
            {"until": 1, "values": {"rotate.max_degree": 3}},
            "no parameter rotate.max_degree; did you mean rotate.max_degrees?",
        ),
        ({"until": 1, "values": {"zzz": 3}}, "no parameter zzz; there are: p, rotate.max_degrees, color.range"),
        ({"until": 1, "values": {"p": [0.1, 0.2]}}, "phase 2: p must be a number, got"),
        ({"until": 1, "values": {"p": True}}, "phase 2: p must be a number, got True"),
        ({"until": 1, "values": {"p": float("nan")}}, "phase 2: p must be a number, got nan"),
        ({"until": 1, "values": {"color.range": 0.5}}, "phase 2: color.range must be 2 numbers, got 0.5"),
        ({"until": 1, "values": {"color.range": [1, 2, 3]}}, "phase 2: color.range must be 2 numbers"),
    ],
)
def test_what_cannot_be_used_is_named(phase: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        parse_phases([{"until": 0.2, "values": {"p": 0.1}}, phase], BASE)


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan")])
def test_progress_is_a_fraction(progress: float) -> None:
    with pytest.raises(ValueError, match="progress must lie in"):
        values_at(parse_phases(CURRICULUM, BASE), progress)
