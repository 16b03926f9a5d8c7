"""The lengths that the verb `validate` tells are those that training counts."""

from __future__ import annotations

import pytest

from qvl.inspection import RowLengths, Tokens
from qvl.training.lengths import measure

pytestmark = pytest.mark.swift


def test_the_tokenizer_alone_gives_the_length_of_an_encoded_row(demo_folder, tiny_folder, encoder, make_turns):
    from transformers import AutoTokenizer

    turns = make_turns(demo_folder / "train.jsonl", images_per_user_turn=1)
    lengths = RowLengths(AutoTokenizer.from_pretrained(str(tiny_folder)), form=encoder.form)
    part, measured = turns.parts[0], measure(turns, encoder)
    assert len(part.rows) > 5
    for number in range(len(part.rows)):
        counted = lengths.of(part.rows[number], part.builder)
        own = measured.parts[0]
        total = own.text[number] + own.pictures[number] + own.overhead
        assert counted == Tokens(int(own.text[number]), int(own.pictures[number]), int(total))
