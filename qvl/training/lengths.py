"""Lengths of user turns in tokens, known before the first step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from rich.progress import track

from qvl.data import DenseDataset
from qvl.errors import RecordError
from qvl.training.encoding import ConversationEncoder

__all__ = ["TurnLengths", "check_lengths", "measure"]

_LISTED = 50
_LABEL_TOKENS = 32
"""More than the label of one picture in the prompt and in the answer takes."""


@dataclass(frozen=True, slots=True)
class TurnLengths:
    """Upper bounds of the length of any turn.

    Attributes:
        rows: (N,) tokens of picture and answer of each row in use.
        overhead: Tokens of the prompt and of what stands between the parts, for one picture.
    """

    rows: np.ndarray
    overhead: int

    def turn(self, rows: np.ndarray) -> int:
        """Return the most tokens that a turn of these rows can have; exact for a single row."""
        labels = _LABEL_TOKENS * len(rows) if len(rows) > 1 else 0
        return int(self.rows[rows].sum()) + self.overhead + labels


def measure(dataset: DenseDataset, encoder: ConversationEncoder) -> TurnLengths:
    """Tokenise every answer and size every picture, without opening it; one row is encoded wholly."""
    steps = track(range(len(dataset.rows)), f"measuring {dataset.name}", transient=True)
    rows = np.array([_row_length(dataset, encoder, index) for index in steps], dtype=np.int64)
    with encoder.without_limit():
        whole = encoder.encode(dataset.turn([0]), check=False)
    return TurnLengths(rows, len(whole["input_ids"]) - int(rows[0]))


def check_lengths(
    dataset: DenseDataset, encoder: ConversationEncoder, *, limit: int, epochs: int, on_overlength: str
) -> None:
    """Make sure that no user turn of any epoch is longer than the limit.

    With `on_overlength: drop`, the longest row of a turn that is too long is left out, until all turns fit.

    Args:
        dataset: Checked rows.
        encoder: The chat template.
        limit: Longest turn in tokens.
        epochs: Number of epochs to look at; each has its own groups.
        on_overlength: `error` or `drop`.

    Raises:
        RecordError: Turns are too long and `on_overlength` is `error`, or no row is left; the text lists the rows.
    """
    lengths = measure(dataset, encoder)
    while long := _too_long(dataset, lengths, limit, epochs):
        if on_overlength == "error":
            raise RecordError(_message(dataset, lengths, long, limit))
        worst = max((int(row) for turn in long for row in turn), key=lambda row: int(lengths.rows[row]))
        dataset.rows.leave_out(worst, f"longer than global_max_length={limit}")
        lengths = TurnLengths(np.delete(lengths.rows, worst), lengths.overhead)
        if not len(dataset.rows):
            raise RecordError(f"{dataset.rows.path}: every row is longer than global_max_length={limit}")


def _row_length(dataset: DenseDataset, encoder: ConversationEncoder, index: int) -> int:
    record = dataset.rows[index]
    conversation = dataset.context.builder.build(record)
    answer = str(conversation["messages"][-1]["content"])
    return encoder.text_tokens(answer) + encoder.picture_tokens(record.width, record.height)


def _too_long(dataset: DenseDataset, lengths: TurnLengths, limit: int, epochs: int) -> list[np.ndarray]:
    longest_turn = max(dataset.group_sizes)
    if lengths.turn(np.argsort(lengths.rows)[-longest_turn:]) <= limit:
        return []
    long = [turn for epoch in range(epochs) for turn in dataset.groups(epoch) if lengths.turn(turn) > limit]
    return list({tuple(turn): turn for turn in long}.values())


def _message(dataset: DenseDataset, lengths: TurnLengths, long: list[np.ndarray], limit: int) -> str:
    lines = [
        f"  {' + '.join(str(dataset.rows[int(row)].source) for row in turn)}: up to {lengths.turn(turn)} tokens"
        for turn in long[:_LISTED]
    ]
    more = [f"  ... and {len(long) - _LISTED} more"] if len(long) > _LISTED else []
    advice = "raise global_max_length, lower model.max_pixels, or set data.on_overlength=drop"
    return "\n".join([f"{len(long)} user turns are longer than global_max_length={limit}; {advice}:", *lines, *more])
