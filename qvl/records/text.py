"""Text that a tokenizer or a chat template would not read as plain text."""

from __future__ import annotations

import re
import unicodedata

_QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    *("<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
    *("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"),
    *("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
)
_TEMPLATE_TAGS = ("<image>", "<video>", "<audio>", "<bbox>", "<ref-object>", "<cot-process>", "<start-image>", "<img>")

SPECIAL_TOKENS = (*_QWEN_TOKENS, *_TEMPLATE_TAGS)
"""The 26 tokens added to Qwen's vocabulary, which plain text would turn into control tokens, and the 8 tags that the
chat template replaces: `<image>` in an answer would move the picture into the answer."""

_CONTROL = re.compile(r"<\|[^|<>]*\|>|" + "|".join(map(re.escape, SPECIAL_TOKENS)))
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_BREAK = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def special_tokens_in(text: str) -> tuple[str, ...]:
    """Return the control tokens and template tags that occur in `text`, in order of appearance."""
    return tuple(_CONTROL.findall(text))


def has_lone_surrogate(text: str) -> bool:
    """Tell whether `text` holds half of a surrogate pair, which no UTF-8 file or tokenizer can take."""
    return _SURROGATE.search(text) is not None


def has_line_break(text: str) -> bool:
    """Tell whether `text` holds a line break, a tab or another control character."""
    return _LINE_BREAK.search(text) is not None


def clean_text(text: str) -> str:
    """Return `text` as the model will see it: composed (NFC, as Qwen's tokenizer does) and without outer blanks."""
    return unicodedata.normalize("NFC", text).strip()
