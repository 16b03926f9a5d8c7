"""The data set of dense captions: records, grouped into user turns by an epoch-seeded permutation."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from qvl.augmentation import Sample
from qvl.conversation import BaseBuilder, Conversation
from qvl.data.pairing import epoch_order, num_groups, plan_groups
from qvl.data.preprocess import BasePreprocessor
from qvl.data.rows import CheckedRows
from qvl.errors import RecordError
from qvl.records import Finding, Record
from qvl.runtime.images import open_image
from qvl.runtime.seeding import rng

__all__ = ["DenseDataset", "SampleContext", "Turn"]


class Augmentation(Protocol):
    """Changes a picture and its shapes together."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample: ...


@dataclass(frozen=True, slots=True)
class SampleContext:
    """What turns records into conversations; the same for all data sets of a run.

    Attributes:
        builder: Writes the conversation.
        augmentation: Changes training samples, or None for data that must stay as they are.
        seed: Seed of the run.
    """

    builder: BaseBuilder
    augmentation: Augmentation | None
    seed: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One user turn, ready for the chat template.

    Attributes:
        records: The records as they are shown, after augmentation.
        pictures: RGB pictures, one a record.
        inputs: `messages`, `images` and `objects` of the builder.
    """

    records: tuple[Record, ...]
    pictures: tuple[Image.Image, ...]
    inputs: Conversation

    @property
    def answer(self) -> str:
        """Text of the assistant's turn."""
        return str(self.inputs["messages"][-1]["content"])


class DenseDataset:
    """Map-style data set whose item k of epoch e is always the same.

    It draws from nothing but (seed, epoch, name, row): worker count, world size and restarts do not matter.
    """

    def __init__(
        self,
        *,
        path: str,
        preprocessor: BasePreprocessor,
        context: SampleContext,
        images_per_user_turn: int | Sequence[int] = 2,
        shuffle: bool = True,
        limit: int | None = None,
        allowed_roots: Sequence[str] = (),
    ) -> None:
        """Open a JSONL file.

        Args:
            path: JSONL file of dense records.
            preprocessor: Applied to every row.
            context: What turns records into conversations.
            images_per_user_turn: Records of one user turn; 1 switches grouping off. Several numbers share
                the rows of an epoch evenly, one after the other.
            shuffle: False keeps the order of the file.
            limit: Use the first rows only; None for all.
            allowed_roots: Folders besides the file's own that pictures may lie in.
        """
        self.name = Path(path).stem
        self.rows = CheckedRows(path, preprocessor=preprocessor, allowed_roots=allowed_roots)
        self.rows.limit(limit)
        self.context = context
        sizes = [images_per_user_turn] if isinstance(images_per_user_turn, int) else images_per_user_turn
        self.group_sizes = tuple(sizes)
        self.shuffle = shuffle
        self._epoch = multiprocessing.RawValue("q", 0)  # shared memory: workers that live on see the new epoch
        self._plan: tuple[tuple[int, int], list[np.ndarray]] | None = None

    def check(self, *, images: str) -> list[Finding]:
        """Check the whole file, see `CheckedRows.check`."""
        return self.rows.check(images=images)

    @property
    def epoch(self) -> int:
        """The epoch whose permutation is in use."""
        return int(self._epoch.value)

    def set_epoch(self, epoch: int) -> None:
        """Switch to an epoch, in this process and in all its workers."""
        self._epoch.value = epoch

    def groups(self, epoch: int) -> list[np.ndarray]:
        """Return the row groups of an epoch."""
        key = (epoch, len(self.rows))
        if self._plan is None or self._plan[0] != key:
            order = epoch_order(self.context.seed, epoch, self.name) if self.shuffle else None
            groups = plan_groups(len(self.rows), self.group_sizes, order)
            self._plan = (key, groups)
        return self._plan[1]

    def __len__(self) -> int:
        """Return the number of user turns of an epoch."""
        return num_groups(len(self.rows), self.group_sizes)

    def __getitem__(self, index: int) -> Turn:
        """Return a user turn of the current epoch.

        Raises:
            IndexError: There is no such turn.
            RecordError: A row or its picture changed since the check.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.name} has {len(self)} user turns, got {index}")
        return self.turn(self.groups(self.epoch)[index])

    def turn(self, rows: Sequence[int] | np.ndarray) -> Turn:
        """Build one user turn from rows, by their positions among the rows in use."""
        samples = [self._sample(int(row)) for row in rows]
        records = tuple(sample.record for sample in samples)
        pictures = tuple(sample.image for sample in samples)
        return Turn(records, pictures, self.context.builder.build(*records, pictures=pictures))

    def _sample(self, row: int) -> Sample:
        record = self.rows[row]
        if len(record.images) != 1:
            raise RecordError(f"{record.source}: images: expected one picture a record, got {len(record.images)}")
        sample = Sample(record=record, image=open_image(record.images[0]))
        if self.context.augmentation is None:
            return sample
        draw = rng(self.context.seed, self.epoch, self.name, row, 0)
        return self.context.augmentation(sample, draw)
