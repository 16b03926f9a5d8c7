from __future__ import annotations

import json

import pytest
from PIL import Image

from qvl.augmentation import Compose, HorizontalFlip, Rotate
from qvl.errors import RecordError
from qvl.training.lengths import check_lengths, measure

pytestmark = pytest.mark.swift


def length(encoder, turn) -> int:
    return len(encoder.encode(turn, check=False)["input_ids"])


def tickets(turns, epoch=0):
    plan = turns.plan(epoch)
    return [plan.ticket(turn) for turn in range(len(plan))]


def test_the_length_of_a_single_row_is_exact_and_of_a_group_an_upper_bound(demo_folder, encoder, make_turns):
    singles = make_turns(demo_folder / "train.jsonl", images_per_user_turn=1)
    lengths = measure(singles, encoder)
    for ticket in tickets(singles):
        assert lengths.turn(ticket) == length(encoder, singles[ticket])
    pairs = make_turns(demo_folder / "train.jsonl", images_per_user_turn=2)
    for ticket in tickets(pairs):
        actual, bound = length(encoder, pairs[ticket]), lengths.turn(ticket)
        assert actual <= bound <= actual + 64 * len(ticket.rows)


def test_the_lengths_of_an_epoch_are_those_of_its_turns(turns, encoder):
    lengths = measure(turns, encoder)
    whole = lengths.epoch(turns.plan(1), progress=0.0)
    assert whole.tolist() == [lengths.turn(ticket) for ticket in tickets(turns, 1)]


def test_a_turn_that_is_too_long_is_an_error_that_names_its_rows(turns, encoder):
    with pytest.raises(
        RecordError, match=r"longer than global_max_length=300.*\n.*train\.jsonl:\d+ \+ .*train\.jsonl:\d+"
    ):
        check_lengths(turns, encoder, limit=300, epochs=2, on_overlength="error")


def test_rows_that_are_too_long_are_left_out_with_their_lines(turns, encoder):
    lengths = measure(turns, encoder)
    longest = max(lengths.turn(ticket) for epoch in (0, 1) for ticket in tickets(turns, epoch))
    left = check_lengths(turns, encoder, limit=longest - 1, epochs=2, on_overlength="drop")
    rows = turns.parts[0].rows
    assert len(rows) + len(rows.left_out) == 9
    assert 1 <= len(rows.left_out) <= 3
    assert all("longer than" in entry.reason for entry in rows.left_out)
    assert all(left.turn(ticket) < longest for epoch in (0, 1) for ticket in tickets(turns, epoch))


def test_dropping_every_row_is_an_error(turns, encoder):
    with pytest.raises(RecordError, match="every row is longer"):
        check_lengths(turns, encoder, limit=3, epochs=1, on_overlength="drop")


def test_a_picture_that_no_model_can_be_shown_is_named_with_its_line(tmp_path, encoder, make_turns):
    Image.new("RGB", (20_000, 1)).save(tmp_path / "thin.png")
    row = {"images": ["thin.png"], "objects": [{"desc": "x", "line": [0, 0, 9, 1]}], "width": 20_000, "height": 1}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(RecordError, match=r"rows\.jsonl:1: width: .*20000 x 1"):
        measure(make_turns(tmp_path / "rows.jsonl"), encoder)


def test_rows_that_a_mirror_leaves_alone_are_counted(tmp_path, encoder, make_turns, caplog):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    rows = [
        {"images": ["a.png"], "objects": [{"desc": desc, "bbox_2d": [0, 0, 9, 9]}], "width": 64, "height": 64}
        for desc in ("screw, left", "screw", "the right one")
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    caplog.set_level("INFO", logger="qvl")
    augmentation = Compose(transforms={"hflip": HorizontalFlip(), "rotate": Rotate()})
    measure(make_turns(tmp_path / "rows.jsonl", augmentation=augmentation), encoder)
    assert "rows: hflip leaves 2 of 3 rows alone, for their words" in caplog.text
    assert "rotate" not in caplog.text
