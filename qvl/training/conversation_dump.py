"""One user turn as the model sees it, for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from qvl.data import Turn
from qvl.health import IGNORED
from qvl.runtime.files import write_text
from qvl.training.encoding import ConversationEncoder

__all__ = ["Passage", "dump_turn", "passages"]

_PADS = re.compile(r"(<\|image_pad\|>)+")


class Passage(NamedTuple):
    """Tokens of an encoded turn that follow each other and are all trained on, or all masked.

    Attributes:
        trained: Whether they are trained on.
        tokens: How many there are.
        text: What they say; the tokens of a picture stand there as a number.
    """

    trained: bool
    tokens: int
    text: str


def passages(encoded: Mapping[str, Any], tokenizer: Any) -> Iterator[Passage]:
    """Yield the text of an encoded turn.

    Args:
        encoded: Has `input_ids` and `labels`.
        tokenizer: What made them.
    """
    pairs = zip(encoded["input_ids"], encoded["labels"], strict=True)
    for trained, group in groupby(pairs, lambda pair: pair[1] != IGNORED):
        tokens = [token for token, _ in group]
        yield Passage(trained, len(tokens), _shorten(tokenizer.decode(tokens)))


def dump_turn(turn: Turn, encoder: ConversationEncoder, path: Path) -> None:
    """Write the decoded tokens of a turn, what is masked apart from what is trained on."""
    encoded = encoder.encode(turn, check=True)
    blocks = [f"rows: {', '.join(str(record.source) for record in turn.records)}"]
    for passage in passages(encoded, encoder.template.tokenizer):
        title = "trained on" if passage.trained else "masked, labels -100"
        blocks.append(f"--- {passage.tokens} tokens, {title} ---\n{passage.text}")
    write_text(path, "\n".join(blocks) + "\n")


def _shorten(text: str) -> str:
    return _PADS.sub(lambda match: f"<|image_pad|> x {len(match.group()) // len('<|image_pad|>')}", text)
