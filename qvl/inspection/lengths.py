"""Lengths of rows in tokens, from the tokenizer of a model alone: no weights are read and no picture is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qvl.conversation import BaseBuilder, TokenCounter
from qvl.data import TurnFormat
from qvl.errors import ConfigError
from qvl.records import Record

__all__ = ["RowLengths", "Tokens", "load_tokenizer"]


class Tokens(NamedTuple):
    """Length of a turn of one row.

    Attributes:
        answer: Tokens of the answer.
        picture: Tokens of the picture.
        total: Tokens of the whole turn, prompt included.
    """

    answer: int
    picture: int
    total: int


def load_tokenizer(path: str) -> Any:
    """Return the tokenizer of a model, with its chat template.

    Args:
        path: A checkpoint folder or a Hugging Face id; an id is fetched if it is not on this machine.

    Raises:
        ConfigError: It cannot be loaded, or has no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError) as error:
        cause = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"model.path: the tokenizer of {path} cannot be loaded: {cause}; give a folder, or lengths=false"
        ) from error
    if not tokenizer.chat_template:
        raise ConfigError(f"model.path: the tokenizer of {path} has no chat template; use lengths=false")
    return tokenizer


class RowLengths:
    """Counts the tokens of a turn of one row, as training does, but for a model of which only the tokenizer is known.

    Attributes:
        form: How pictures are shown.
    """

    def __init__(self, tokenizer: Any, *, form: TurnFormat) -> None:
        """Keep the tokenizer.

        Args:
            tokenizer: Of transformers, with a chat template.
            form: How pictures are shown.
        """
        self.form = form
        self._tokenizer = tokenizer
        self._count = TokenCounter(tokenizer)
        self._overheads: dict[int, int] = {}

    def of(self, record: Record, builder: BaseBuilder) -> Tokens:
        """Return the length of a row that can be used.

        Args:
            record: The row.
            builder: Writes its conversation.

        Raises:
            ValueError: The model cannot be shown a picture of this form.
        """
        if builder.mode == "chat":
            messages = builder.build(record)["messages"]
            answer = sum(self._count(str(turn["content"])) for turn in messages if turn["role"] == "assistant")
            return Tokens(answer, 0, self._whole(messages))
        columns, rows = self.form.model_size(record.width, record.height)
        picture = columns * rows // self.form.side_factor**2
        answer = self._count(builder.answer_to_count(record))
        if id(builder) not in self._overheads:  # the prompt is the same for all rows
            messages = builder.build(record)["messages"]
            written = self._count(str(messages[-1]["content"]))
            self._overheads[id(builder)] = self._whole(messages) - written - len(record.images)
        return Tokens(answer, picture, answer + picture + self._overheads[id(builder)])

    def _whole(self, messages: Sequence[Mapping[str, object]]) -> int:
        """Return the tokens of a conversation in which a picture is one token."""
        text = self._tokenizer.apply_chat_template(messages, tokenize=False)
        return len(self._tokenizer.encode(text, add_special_tokens=False))
