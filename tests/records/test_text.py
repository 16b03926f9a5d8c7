import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.records import SPECIAL_TOKENS, clean_text, has_line_break, has_lone_surrogate, special_tokens_in


def test_the_26_tokens_of_qwen_and_the_8_tags_of_the_template_are_known():
    assert len(SPECIAL_TOKENS) == len(set(SPECIAL_TOKENS)) == 34


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_every_special_token_is_found_inside_other_text(token):
    assert special_tokens_in(f"螺丝{token}x") == (token,)
    assert special_tokens_in(json.dumps({"desc": f"{token}, {token}"})) == (token, token)


@pytest.mark.parametrize("text", ["<|made_up|>", "<||>", "a<|x y|>b"])
def test_anything_that_looks_like_a_control_token_is_found(text):
    assert special_tokens_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a < b | c > d",
        "<im_end>",
        "<|im_end",
        "im_end|>",
        "<Image>",
        "< image >",
        "<b>bold</b>",
        "<|a|b|>",
        "&lt;image&gt;",
    ],
)
def test_plain_text_has_no_special_tokens(text):
    assert special_tokens_in(text) == ()


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\tb", "a\x00b", "a\u2028b", "a\x85b", "\x7f"])
def test_line_breaks_tabs_and_control_characters_are_seen(text):
    assert has_line_break(text)


@pytest.mark.parametrize("text", ["", "a b", "标签\u3000文本", "naïve", "😀"])
def test_plain_lines_have_no_line_break(text):
    assert not has_line_break(text)


def test_half_of_a_surrogate_pair_is_seen_and_a_whole_character_is_not():
    assert has_lone_surrogate(json.loads('"\\ud83d"'))
    assert not has_lone_surrogate(json.loads('"\\ud83d\\ude00"'))


@given(st.text())
def test_clean_text_is_composed_stripped_and_stable(text):
    cleaned = clean_text(text)
    assert cleaned == cleaned.strip() == clean_text(cleaned)
    assert unicodedata.is_normalized("NFC", cleaned)


def test_clean_text_composes_as_the_tokenizer_does():
    assert clean_text(" cafe\u0301 ") == "caf\u00e9"
