"""One user turn as the model is given it, with its tokens by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from qvl.data import Turn
from qvl.training.conversation_dump import Passage, passages
from qvl.training.encoding import ConversationEncoder

__all__ = ["PromptView", "render_view", "view_turn"]

MARKS: Final = "template marks"
_TEXTS: Final = {"system": "system prompt", "user": "user text", "assistant": "answer"}
_LINE_END: Final = "\u010a"
"""A line break in the alphabet of byte-level tokenizers."""


@dataclass(frozen=True, slots=True)
class PromptView:
    """What a turn consists of.

    Attributes:
        sources: Where its rows stand.
        passages: Its text, cut where training begins and ends.
        parts: Tokens by part, in the order of their first occurrence: system prompt, user text, each picture, answer
            and the marks of the chat template; they add up to `length`.
        length: All tokens.
    """

    sources: tuple[str, ...]
    passages: tuple[Passage, ...]
    parts: dict[str, int]
    length: int


def view_turn(turn: Turn, encoder: ConversationEncoder) -> PromptView:
    """Encode a turn of any length and take it apart.

    Raises:
        HealthError: A health check of training fails.
    """
    with encoder.without_limit():
        encoded = encoder.encode(turn, check=True)
    tokens = encoded["input_ids"]
    return PromptView(
        sources=tuple(str(record.source) for record in turn.records),
        passages=tuple(passages(encoded, encoder.template.tokenizer)),
        parts=_count_parts(tokens, encoder.template.tokenizer, encoder.template.image_token_id),
        length=len(tokens),
    )


def _count_parts(tokens: Sequence[int], tokenizer: Any, image_token_id: int) -> dict[str, int]:
    """Give every token to one part: the one that its first character lies in."""
    names = (*_TEXTS.values(), MARKS)
    start, end, picture = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>", "<|vision_start|>"])
    counts: Counter[str] = Counter()
    part, role, pictures = MARKS, "", 0
    for token, text in zip(tokens, tokenizer.convert_ids_to_tokens(tokens), strict=True):
        pictures += token == picture
        if token == image_token_id:
            counts[f"picture {pictures}"] += 1
        elif token in (start, end):
            part, role = MARKS, "" if token == start else "none"
            counts[MARKS] += 1
        elif text in tokenizer.all_special_tokens:
            counts[MARKS] += 1
        else:
            counts[part] += 1
            role, part = _read_role(role, text, part)
    shown = [names[0], *(f"picture {number}" for number in range(1, pictures + 1)), *names[1:]]
    return {name: counts[name] for name in shown if counts[name]}


def _read_role(role: str, text: str, part: str) -> tuple[str, str]:
    """Return the name of the speaker as far as it is read, and the part that the next token belongs to."""
    if part != MARKS or role == "none":
        return role, part
    role += text.partition(_LINE_END)[0]
    return (role, _TEXTS[role]) if _LINE_END in text else (role, part)


def render_view(view: PromptView, *, limit: int) -> Group:
    """Return the conversation and a table of its tokens, to be printed.

    Args:
        view: The turn.
        limit: `global_max_length`.
    """
    table = Table()
    for column in ("part", "tokens", "share"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, count in view.parts.items():
        table.add_row(name, str(count), f"{count / view.length:.1%}")
    table.add_section()
    table.add_row("all", str(view.length), "")
    table.add_row("trained on", str(sum(item.tokens for item in view.passages if item.trained)), "")
    text = Text.assemble(*((item.text, "bold green" if item.trained else "") for item in view.passages))
    used = f"{view.length} of {limit} tokens of global_max_length, {view.length / limit:.1%}"
    return Group(Text(f"rows: {', '.join(view.sources)}\n"), text, table, Text(used))
