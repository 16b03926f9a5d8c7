"""Lengths of user turns in tokens, known without opening a picture."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.progress import track

from qvl.data import EpochPlan, SourcePart, Ticket, TurnDataset
from qvl.errors import RecordError
from qvl.training.encoding import ConversationEncoder
from qvl.training.kept_lengths import count_rows, row_tokens

__all__ = ["TurnLengths", "check_lengths", "measure"]

_log = logging.getLogger(__name__)

_LISTED = 50
_LABEL_TOKENS = 32
"""More than the label of one picture in the prompt and in the answer takes."""

_END_TOKENS = 2
"""The token that ends an answer and the newline behind it."""

_TEXT_GROWTH = 4
"""More than an answer grows by augmentation: a box of 4 numbers becomes a polygon of at most 8."""

Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PartLengths:
    """Tokens of the rows of one source, as they are without augmentation.

    Attributes:
        text: (N,) tokens of the answer of each row in use.
        pictures: (N,) tokens of its picture.
        overhead: Tokens of the prompt and of what stands between the parts, for one picture.
    """

    text: Lengths
    pictures: Lengths
    overhead: int

    def without(self, rows: Sequence[int]) -> PartLengths:
        """Return the lengths of the other rows."""
        return PartLengths(np.delete(self.text, rows), np.delete(self.pictures, rows), self.overhead)


class TurnLengths:
    """Upper bounds of the length of any turn, exact for a turn of one row.

    Attributes:
        parts: One a source.
    """

    def __init__(self, dataset: TurnDataset, encoder: ConversationEncoder, parts: Sequence[PartLengths]) -> None:
        self.dataset = dataset
        self.encoder = encoder
        self.parts = list(parts)

    def turn(self, ticket: Ticket) -> int:
        """Return the most tokens that a turn can have; augmented rows are looked at anew."""
        part = self.dataset.parts[ticket.source]
        if part.augmentation is None or not ticket.augment:
            return self.unchanged(ticket)
        records = part.records(ticket, part.samples(ticket))
        text, pictures = zip(*(row_tokens(part, self.encoder, record) for record in records), strict=True)
        return self._whole(ticket, sum(text) + sum(pictures))

    def answer(self, ticket: Ticket) -> int:
        """Return the most tokens that the answer of a turn has if it is not augmented, its end included."""
        rows = list(ticket.rows)
        return int(self.parts[ticket.source].text[rows].sum()) + _END_TOKENS + self._labels(len(rows))

    def unchanged(self, ticket: Ticket) -> int:
        """Return the most tokens that a turn has if it is not augmented."""
        lengths, rows = self.parts[ticket.source], list(ticket.rows)
        return self._whole(ticket, int(lengths.text[rows].sum() + lengths.pictures[rows].sum()))

    def bound(self, ticket: Ticket) -> int:
        """Return a number of tokens that no augmentation exceeds, without looking."""
        if self.dataset.parts[ticket.source].augmentation is None:
            return self.unchanged(ticket)
        most = self.encoder.most_picture_tokens() * len(ticket.rows)
        text = int(self.parts[ticket.source].text[list(ticket.rows)].sum())
        return self._whole(ticket, text * _TEXT_GROWTH + most)

    def epoch(self, plan: EpochPlan, *, progress: float) -> Lengths:
        """Return (T,) lengths of all turns of an epoch as they will be at some progress of the training."""
        if all(part.augmentation is None for part in self.dataset.parts):
            return self._plain_epoch(plan)
        steps = track(range(len(plan)), "measuring the epoch", transient=True)
        tickets = (plan.ticket(turn)._replace(progress=progress) for turn in steps)
        return np.array([self.turn(ticket) for ticket in tickets], dtype=np.int64)

    def _plain_epoch(self, plan: EpochPlan) -> Lengths:
        """Do it for all turns at once."""
        sizes = np.diff(plan.starts)
        sources = np.repeat(plan.sources, sizes)
        rows = np.zeros(len(plan.rows), dtype=np.int64)
        overhead = np.zeros(len(plan), dtype=np.int64)
        for number, lengths in enumerate(self.parts):
            mine = sources == number
            rows[mine] = (lengths.text + lengths.pictures)[plan.rows[mine]]
            overhead[plan.sources == number] = lengths.overhead
        labels = np.where(sizes > 1, _LABEL_TOKENS * sizes, 0)
        return np.add.reduceat(rows, plan.starts[:-1]) + overhead + labels

    def _whole(self, ticket: Ticket, tokens: int) -> int:
        return tokens + self.parts[ticket.source].overhead + self._labels(len(ticket.rows))

    @staticmethod
    def _labels(count: int) -> int:
        return _LABEL_TOKENS * count if count > 1 else 0


def measure(dataset: TurnDataset, encoder: ConversationEncoder) -> TurnLengths:
    """Tokenise every answer and size every picture, without opening it; one row of each source is encoded wholly.

    All processes of a run have to call it together, see `count_rows`.
    """
    return TurnLengths(
        dataset, encoder, [_measure_part(number, dataset, encoder) for number in range(len(dataset.parts))]
    )


def check_lengths(
    dataset: TurnDataset, encoder: ConversationEncoder, *, limit: int, epochs: int, on_overlength: str
) -> TurnLengths:
    """Make sure that no user turn of any epoch is longer than the limit before it is augmented.

    With `on_overlength: drop`, the longest row of every turn that is too long is left out, until all turns fit.

    Args:
        dataset: Checked rows.
        encoder: The chat template.
        limit: Longest turn in tokens.
        epochs: Number of epochs to look at; each has its own turns.
        on_overlength: `error` or `drop`.

    Returns:
        The lengths of the rows that are left.

    Raises:
        RecordError: Turns are too long and `on_overlength` is `error`, or no row is left; the text lists the rows.
    """
    lengths = measure(dataset, encoder)
    while long := _too_long(dataset, lengths, limit, epochs):
        if on_overlength == "error":
            raise RecordError(_message(dataset, lengths, long, limit))
        for number, part in enumerate(dataset.parts):
            tokens = lengths.parts[number].text + lengths.parts[number].pictures
            turns = [ticket.rows for ticket in long if ticket.source == number]
            worst = sorted({max(rows, key=lambda row: int(tokens[row])) for rows in turns})
            part.rows.leave_out(worst, f"longer than global_max_length={limit}")
            lengths.parts[number] = lengths.parts[number].without(worst)
            if not len(part.rows):
                raise RecordError(f"{part.rows.path}: every row is longer than global_max_length={limit}")
    return lengths


def _measure_part(number: int, dataset: TurnDataset, encoder: ConversationEncoder) -> PartLengths:
    part = dataset.parts[number]
    pairs, refused = count_rows(part, encoder)
    for name, count in refused.items():
        _log.info("%s: %s leaves %d of %d rows alone, for their words", part.name, name, count, len(part.rows))
    text, pictures = pairs.astype(np.int64).T
    if part.builder.mode == "chat":
        return PartLengths(text, pictures, 0)
    first = Ticket(epoch=0, source=number, rows=(0,), copies=(0,), augment=False)
    with encoder.without_limit():
        whole = encoder.encode(part.turn(first), check=False)
    return PartLengths(text, pictures, len(whole["input_ids"]) - int(pairs[0].sum()))


def _too_long(dataset: TurnDataset, lengths: TurnLengths, limit: int, epochs: int) -> list[Ticket]:
    if all(_longest(part, own) <= limit for part, own in zip(dataset.parts, lengths.parts, strict=True)):
        return []
    found = [ticket for epoch in range(epochs) for ticket in _longer(dataset.plan(epoch), lengths, limit)]
    return list({(ticket.source, ticket.rows): ticket for ticket in found}.values())


def _longest(part: SourcePart, lengths: PartLengths) -> int:
    """Return a length that no turn of a source exceeds."""
    size = part.source.images_per_user_turn
    longest = np.sort(lengths.text + lengths.pictures)[-size:]
    return int(longest.sum()) + lengths.overhead + _LABEL_TOKENS * size


def _longer(plan: EpochPlan, lengths: TurnLengths, limit: int) -> Iterator[Ticket]:
    for turn in range(len(plan)):
        ticket = plan.ticket(turn)
        if lengths.unchanged(ticket) > limit:
            yield ticket


def _message(dataset: TurnDataset, lengths: TurnLengths, long: Sequence[Ticket], limit: int) -> str:
    lines = []
    for ticket in long[:_LISTED]:
        rows = dataset.parts[ticket.source].rows
        sources = " + ".join(str(rows.lines.source(rows.number(row))) for row in ticket.rows)
        lines.append(f"  {sources}: up to {lengths.unchanged(ticket)} tokens")
    more = [f"  ... and {len(long) - _LISTED} more"] if len(long) > _LISTED else []
    advice = "raise global_max_length, lower model.max_pixels, or set data.on_overlength=drop"
    return "\n".join([f"{len(long)} user turns are longer than global_max_length={limit}; {advice}:", *lines, *more])
