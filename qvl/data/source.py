"""One file of rows and what is done with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from qvl.augmentation import Sample
from qvl.conversation import BaseBuilder
from qvl.data.preprocess import BasePreprocessor, KeepAll
from qvl.records import Record

__all__ = ["Augmentation", "RowSource"]


class Augmentation(Protocol):
    """Changes a picture and its shapes together, see `qvl.augmentation.Compose`."""

    @property
    def idle(self) -> bool:
        """Whether no sample is ever changed."""

    def __call__(self, sample: Sample, rng: np.random.Generator, *, progress: float = 0.0) -> Sample:
        """Return the sample as it is at some progress of the training."""

    def refused(self, record: Record) -> tuple[str, ...]:
        """Return the names of what leaves a record alone because of its words."""

    def check_task(self, mode: str) -> None:
        """Raise a ValueError if something in it is not safe for the rows of a mode."""


@dataclass(frozen=True, kw_only=True)
class RowSource:
    """One JSONL file of a mix.

    Attributes:
        path: The file; relative picture paths start at its folder.
        name: Name in logs and in the epoch plan, which also seeds the draw; empty for that of the file.
        role: `target`, or `auxiliary`: not evaluated on, and measured by the targets.
        ratio: See `qvl.fusion.SourceSpec`.
        images_per_user_turn: Records of one user turn; 1 switches grouping off.
        max_objects: Most objects of a record in training; of more, a random choice keeps its order. None for no cap.
        limit: Use the first rows only; None for all.
        builder: Writes the conversations; None for that of the run. It also says what rows are used for.
        augment: Whether training samples are augmented.
        augmentation: Instead of that of the run.
        preprocessor: Applied to every row.
    """

    path: str
    name: str = ""
    role: str = "target"
    ratio: float = 1.0
    images_per_user_turn: int = 2
    max_objects: int | None = None
    limit: int | None = None
    builder: BaseBuilder | None = None
    augment: bool = True
    augmentation: Augmentation | None = None
    preprocessor: BasePreprocessor = field(default_factory=KeepAll)

    def __post_init__(self) -> None:
        """Refuse sizes below one, and a path that is none."""
        if not self.path:
            raise ValueError(f"path has to name a JSONL file, got {self.path!r}")
        for key in ("images_per_user_turn", "max_objects", "limit"):
            value = getattr(self, key)
            if value is not None and value < 1:
                raise ValueError(f"{key} must be at least 1, got {value}")
        if not self.name:
            object.__setattr__(self, "name", Path(self.path).stem)
