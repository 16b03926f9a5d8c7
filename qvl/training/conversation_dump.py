"""One user turn as the model sees it, for people."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

from qvl.data import Turn
from qvl.health import IGNORED
from qvl.runtime.files import write_text
from qvl.training.encoding import ConversationEncoder

__all__ = ["dump_turn"]

_PADS = re.compile(r"(<\|image_pad\|>)+")


def dump_turn(turn: Turn, encoder: ConversationEncoder, path: Path) -> None:
    """Write the decoded tokens of a turn, what is masked apart from what is trained on."""
    encoded = encoder.encode(turn, check=True)
    pairs = zip(encoded["input_ids"], encoded["labels"], strict=True)
    parts = [
        (trained, [token for token, _ in group]) for trained, group in groupby(pairs, lambda pair: pair[1] != IGNORED)
    ]
    blocks = [f"rows: {', '.join(str(record.source) for record in turn.records)}"]
    for trained, tokens in parts:
        title = "trained on" if trained else "masked, labels -100"
        blocks.append(f"--- {len(tokens)} tokens, {title} ---\n{_shorten(encoder.template.tokenizer.decode(tokens))}")
    write_text(path, "\n".join(blocks) + "\n")


def _shorten(text: str) -> str:
    return _PADS.sub(lambda match: f"<|image_pad|> x {len(match.group()) // len('<|image_pad|>')}", text)
