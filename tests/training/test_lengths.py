from __future__ import annotations

import pytest

from qvl.errors import RecordError
from qvl.training.lengths import check_lengths, measure

pytestmark = pytest.mark.swift


def length(encoder, turn) -> int:
    return len(encoder.encode(turn, check=False)["input_ids"])


def test_the_length_of_a_single_row_is_exact_and_of_a_group_an_upper_bound(demo_folder, encoder, make_turns):
    singles = make_turns(demo_folder / "train.jsonl", images_per_user_turn=1)
    lengths = measure(singles, encoder)
    for row in range(len(singles.rows)):
        assert lengths.turn(singles.groups(0)[0] * 0 + row) == length(encoder, singles.turn([row]))
    pairs = make_turns(demo_folder / "train.jsonl", images_per_user_turn=2)
    for group in pairs.groups(0):
        actual, bound = length(encoder, pairs.turn(group)), lengths.turn(group)
        assert actual <= bound <= actual + 64 * len(group)


def test_a_turn_that_is_too_long_is_an_error_that_names_its_rows(turns, encoder):
    with pytest.raises(
        RecordError, match=r"longer than global_max_length=300.*\n.*train\.jsonl:\d+ \+ .*train\.jsonl:\d+"
    ):
        check_lengths(turns, encoder, limit=300, epochs=2, on_overlength="error")


def test_dropping_leaves_out_as_little_as_needed_and_says_so(demo_folder, encoder, make_turns):
    singles = make_turns(demo_folder / "train.jsonl", images_per_user_turn=1)
    lengths = sorted(measure(singles, encoder).turn(row) for row in singles.groups(0))
    check_lengths(singles, encoder, limit=lengths[-3], epochs=1, on_overlength="drop")
    too_long = sum(value > lengths[-3] for value in lengths)
    assert len(singles.rows) == len(lengths) - too_long
    assert [reason for _, reason in singles.rows.left_out] == [
        f"longer than global_max_length={lengths[-3]}"
    ] * too_long


def test_a_limit_that_no_row_meets_is_an_error_even_when_dropping(turns, encoder):
    with pytest.raises(RecordError, match="every row"):
        check_lengths(turns, encoder, limit=10, epochs=1, on_overlength="drop")


def test_a_limit_that_all_rows_meet_changes_nothing(turns, encoder):
    check_lengths(turns, encoder, limit=10_000, epochs=3, on_overlength="error")
    assert turns.rows.left_out == []
