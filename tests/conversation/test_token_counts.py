from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qvl.conversation.token_counts import TokenCounter

TINY = Path(__file__).parents[2] / "qvl" / "models" / "tiny_checkpoint"
texts = st.text(st.sampled_from('012789 ,.-=:"{}[]abXY_类别é\t'), max_size=60)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(TINY))


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
@example(["a  5", "  7", "7  ", " 1 2"])
def test_the_count_is_that_of_the_tokenizer(tokenizer, said):
    count = TokenCounter(tokenizer)
    assert [count(text) for text in said] == [len(tokenizer.encode(t, add_special_tokens=False)) for t in said]


class JoinsDigits:
    """A tokenizer for which `a1` is one token."""

    def encode(self, text: str, *, add_special_tokens: bool) -> list[str]:
        return text.split()


def test_a_tokenizer_that_joins_digits_is_asked_for_the_whole_text():
    assert TokenCounter(JoinsDigits())("a1 b2 c") == 3
