"""Log-probabilities as they are recorded, and the ends of tokens."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.inference.logprobs import Recorder, recording, token_ends

SHOWN = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
LETTERS = {byte: chr(byte) for byte in SHOWN} | {
    byte: chr(0x100 + slot) for slot, byte in enumerate(sorted(set(range(0x100)) - set(SHOWN)))
}


def as_tokens(text: str, cuts: list[int]) -> list[str]:
    """Cut the bytes of a text at some places and write them as a byte-level vocabulary does."""
    data = text.encode()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    return ["".join(LETTERS[byte] for byte in piece) for piece in pieces]


@given(st.text(max_size=20), st.lists(st.integers(0, 99), max_size=9))
def test_ends_are_where_the_characters_of_a_token_are_complete(text, cuts):
    tokens = as_tokens(text, cuts)
    size, expected = 0, []
    for token in tokens:
        size += len(token)
        expected.append(len(text.encode()[:size].decode(errors="ignore")))
    assert token_ends(tokens, text) == tuple(expected)


def test_special_tokens_stand_for_themselves_and_a_cut_character_ends_nothing():
    assert token_ends(["<|box_start|>", "(1", "<｜a｜>"], "<|box_start|>(1<｜a｜>") == (13, 15, 20)
    assert token_ends(as_tokens("a图", [1])[:1] + ["å"], "a\ufffd") == (1, 1)


def test_an_id_that_the_vocabulary_does_not_know_is_no_text():
    assert token_ends(["a", None, "b"], "ab") == (1, 1, 2)


def test_tokens_of_another_text_end_nowhere():
    assert token_ends(["a", "b"], "ab ") == ()
    assert token_ends([], "") == ()


@pytest.fixture
def recorder():
    """Three steps of two answers with the tokens 0, 1, 2 and 2, 2, 0."""
    import torch

    found = Recorder()
    steps = [[[3, 1, 0], [0, 0, 1]], [[0, 5, 5], [1, 2, 9]], [[0, 0, 1], [1, 0, 0]]]
    for step in steps:
        scores = torch.tensor(step, dtype=torch.float32)
        assert found(torch.zeros(2, 1), scores) is scores
    return found


def log_softmax(scores: list[float], chosen: int) -> float:
    return scores[chosen] - math.log(sum(math.exp(score) for score in scores))


def test_the_chosen_tokens_are_recorded_also_where_two_are_equal(recorder):
    first, second = recorder.logprobs([[0, 1, 2], [2, 2]])
    expected = [log_softmax([3, 1, 0], 0), log_softmax([0, 5, 5], 1), log_softmax([0, 0, 1], 2)]
    assert first == pytest.approx(expected, abs=1e-6)
    assert second == pytest.approx([log_softmax([0, 0, 1], 2), log_softmax([1, 2, 9], 2)], abs=1e-6)


def test_of_tokens_that_were_not_the_most_probable_nothing_is_known(recorder):
    assert recorder.logprobs([[0, 0], [2]])[0] == ()
    assert recorder.logprobs([[0]]) == [()]
    assert Recorder().logprobs([[1], []]) == [(), ()]


def test_a_template_generates_as_before_behind_the_block_also_after_an_error():
    class Template:
        def generate(self, model, **arguments):
            return arguments

    template = Template()
    with pytest.raises(ZeroDivisionError), recording(template) as recorder:  # type: ignore[arg-type]
        assert template.generate(None, a=1) == {"a": 1, "logits_processor": [recorder]}
        raise ZeroDivisionError
    assert template.generate(None) == {}
