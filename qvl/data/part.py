"""Rows of one source to user turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from qvl.augmentation import Sample, render
from qvl.conversation import BaseBuilder, Conversation
from qvl.data.form import TurnFormat
from qvl.data.plan import Ticket
from qvl.data.rows import CheckedRows
from qvl.data.source import Augmentation, RowSource
from qvl.fusion import SourceSpec
from qvl.records import Record
from qvl.runtime.images import open_image, open_pixels
from qvl.runtime.seeding import rng

__all__ = ["SampleContext", "SourcePart", "Turn"]


@dataclass(frozen=True, slots=True)
class SampleContext:
    """What turns records into conversations; the same for all sources of a data set.

    Attributes:
        builder: Writes the conversation.
        form: How pictures are shown and answers written.
        seed: Seed of the run.
        augmentation: Changes training samples, or None for data that must stay as they are.
        training: Whether the rows are trained on: only then are objects capped and sources mixed by their ratios.
        allowed_roots: Folders besides a file's own that pictures may lie in.
        cache: Folder of what is computed from the data and kept from one run to the next, or None.
    """

    builder: BaseBuilder
    form: TurnFormat
    seed: int
    augmentation: Augmentation | None = None
    training: bool = True
    allowed_roots: tuple[str, ...] = ()
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One user turn, ready for the chat template.

    Attributes:
        records: The records as they are shown, after augmentation.
        pictures: RGB pictures, one a record; none for chat.
        inputs: `messages`, `images` and `objects` of the builder.
        source: Name of the source.
        mode: What the rows are used for, one of `qvl.records.MODES`.
    """

    records: tuple[Record, ...]
    pictures: tuple[Image.Image, ...]
    inputs: Conversation
    source: str
    mode: str

    @property
    def answers(self) -> tuple[str, ...]:
        """Texts of the assistant, one a turn of the conversation."""
        return tuple(str(turn["content"]) for turn in self.inputs["messages"] if turn["role"] == "assistant")

    @property
    def answer(self) -> str:
        """Text of the assistant's last turn."""
        return self.answers[-1]


class SourcePart:
    """One source of a data set: its rows in use, and how a turn is made of them.

    Attributes:
        source: What was asked for.
        rows: The rows, checked or to be checked.
        builder: Writes the conversations.
        augmentation: Changes the samples, or None.
    """

    def __init__(self, source: RowSource, context: SampleContext) -> None:
        """Open the file.

        Raises:
            RecordError: There is no such file.
            ValueError: The source asks for something that its mode does not allow.
        """
        self.source = source
        self.context = context
        self.builder = source.builder or context.builder
        self.augmentation = self._augmentation()
        if self.builder.mode == "chat" and source.images_per_user_turn != 1:
            raise ValueError(f"source {source.name}: rows of chat stand alone, set images_per_user_turn=1")
        if self.augmentation is not None:
            self.augmentation.check_task(self.builder.mode)
        self.rows = CheckedRows(
            source.path,
            mode=self.builder.mode,
            preprocessor=source.preprocessor,
            allowed_roots=context.allowed_roots,
            cache=context.cache,
        )
        self.rows.limit(source.limit)

    @property
    def name(self) -> str:
        """Name of the source."""
        return self.source.name

    @property
    def spec(self) -> SourceSpec:
        """The source as its share of the mix is computed; data that are not trained on are used as they are."""
        if not self.context.training:
            return SourceSpec(self.name, len(self.rows))
        return SourceSpec(self.name, len(self.rows), self.source.ratio, self.source.role)

    def turn(self, ticket: Ticket) -> Turn:
        """Build a user turn; the input is this part's, whatever `ticket.source` says.

        Raises:
            RecordError: A row or its picture changed since the check.
        """
        if self.builder.mode == "chat":
            record = self.rows[ticket.rows[0]]
            return Turn((record,), (), self.builder.build(record), self.name, "chat")
        samples = self.samples(ticket)
        pictures = tuple(self._picture(sample) for sample in samples)
        records = self.records(ticket, samples)
        inputs = self.builder.build(*records, pictures=pictures)
        return Turn(records, pictures, inputs, self.name, self.builder.mode)

    def samples(self, ticket: Ticket) -> list[Sample]:
        """Return the samples of a turn with pictures as they will be shown; no picture is opened."""
        return [self._sample(ticket, number) for number in range(len(ticket.rows))]

    def records(self, ticket: Ticket, samples: Sequence[Sample]) -> tuple[Record, ...]:
        """Return the records of the samples of a turn as they will be written."""
        cap = self.source.max_objects if self.context.training else None
        if cap is None:
            return tuple(sample.record for sample in samples)
        draws = (self._draw(ticket, number, "/cap") for number in range(len(samples)))
        return tuple(_capped(sample.record, cap, draw) for sample, draw in zip(samples, draws, strict=True))

    def _augmentation(self) -> Augmentation | None:
        if self.context.augmentation is None or not self.source.augment or self.builder.mode == "chat":
            return None
        chosen = self.source.augmentation or self.context.augmentation
        return None if chosen.idle else chosen

    def _sample(self, ticket: Ticket, number: int) -> Sample:
        sample = Sample.of(self.rows[ticket.rows[number]])
        if self.augmentation is None or not ticket.augment:
            return sample
        draw = self._draw(ticket, number, "")
        sample = self.augmentation(sample, draw, progress=ticket.progress)
        if not sample.changed:
            return sample
        return sample.resized(*self.context.form.model_size(sample.view.width, sample.view.height))

    def _draw(self, ticket: Ticket, number: int, purpose: str) -> np.random.Generator:
        """Return random numbers of their own for one row of a turn."""
        row = self.rows.number(ticket.rows[number])
        return rng(self.context.seed, ticket.epoch, self.name + purpose, row, ticket.copies[number])

    @staticmethod
    def _picture(sample: Sample) -> Image.Image:
        path = sample.annotated.images[0]
        if not sample.changed:
            return open_image(path)
        return Image.fromarray(render(sample, open_pixels(path)))


def _capped(record: Record, cap: int, draw: np.random.Generator) -> Record:
    """Return the record with at most `cap` of its objects, in their order."""
    if len(record.objects) <= cap:
        return record
    kept = sorted(draw.choice(len(record.objects), cap, replace=False).tolist())
    return replace(record, objects=tuple(record.objects[index] for index in kept))
