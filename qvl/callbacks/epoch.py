"""Tell the data set which epoch it is."""

from __future__ import annotations

import math
from typing import Protocol

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

__all__ = ["EpochToDataset"]


class HasEpoch(Protocol):
    """A data set whose order depends on the epoch."""

    def set_epoch(self, epoch: int) -> None: ...


class EpochToDataset(TrainerCallback):
    """Hands every new epoch to the data set; neither transformers nor ms-swift does."""

    def __init__(self, dataset: HasEpoch) -> None:
        self.dataset = dataset

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Set the epoch; a resumed run begins inside one, and its number is a fraction."""
        self.dataset.set_epoch(math.floor((state.epoch or 0.0) + 1e-9))
