"""What every epoch was meant to train on, and what it did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qvl.data import TurnDataset
from qvl.data.batching import BatchPlan
from qvl.errors import HealthError
from qvl.runtime.distributed import gathered

__all__ = ["EpochAccount"]


class CountsRows(Protocol):
    """A trainer that counts the rows it trains on."""

    num_rows: int


class PlansBatches(Protocol):
    """Batches of an epoch, see `qvl.training.TurnBatches`."""

    dataset: TurnDataset
    num_kept_plain: int

    @property
    def accumulation(self) -> int:
        """Micro steps of one optimiser step."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one epoch."""

    def __len__(self) -> int:
        """Return the number of micro steps of one epoch."""

    def plan(self, epoch: int) -> BatchPlan:
        """Return the batches of all processes in an epoch."""


class EpochAccount(TrainerCallback):
    """Writes the plan of every epoch into the run folder, and makes sure at its end that its rows were trained on.

    `epochs.jsonl` gets two lines an epoch: `plan`, the rows, turns and steps of each source, and `account`, the rows
    that were scheduled in the steps taken and those that reached the model, added over all processes.
    """

    def __init__(self, trainer: CountsRows, batches: PlansBatches, path: Path) -> None:
        self.trainer = trainer
        self.batches = batches
        self.path = path
        self._first = 0

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Write the plan; a resumed run begins inside an epoch."""
        epoch = self.batches.dataset.epoch
        steps_before = state.global_step - epoch * self.batches.steps_per_epoch
        self._first = max(steps_before, 0) * self.batches.accumulation
        self.trainer.num_rows = 0
        if state.is_world_process_zero:
            self._write(epoch, plan=self._plan(epoch))

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Compare what was scheduled with what was trained on.

        Raises:
            HealthError: They differ.
        """
        epoch = self.batches.dataset.epoch
        steps_taken = state.global_step - epoch * self.batches.steps_per_epoch
        last = min(steps_taken * self.batches.accumulation, len(self.batches))
        scheduled, trained = self._scheduled(epoch, self._first, last), sum(gathered(self.trainer.num_rows))
        if state.is_world_process_zero:
            account = {"rows_scheduled": scheduled, "rows_trained": trained, "micro_steps": [self._first, last]}
            self._write(epoch, account={**account, "turns_not_augmented_for_length": self.batches.num_kept_plain})
        if scheduled != trained:
            raise HealthError(f"epoch {epoch}: {scheduled} rows were scheduled, {trained} were trained on")

    def _plan(self, epoch: int) -> dict[str, object]:
        plan = self.batches.dataset.plan(epoch)
        sizes = np.diff(plan.starts)
        sources = {}
        for number, part in enumerate(self.batches.dataset.parts):
            mine = plan.sources == number
            sources[part.name] = {
                "file": part.rows.path,
                "role": part.source.role,
                "ratio": part.source.ratio,
                "mode": part.builder.mode,
                "augmented": part.augmentation is not None,
                "max_objects": part.source.max_objects,
                "rows_in_file": len(part.rows.lines),
                "rows_left_out": sum(entry.rows for entry in part.rows.left_out),
                "rows_drawn": int(sizes[mine].sum()),
                "turns": int(mine.sum()),
            }
        return {"sources": sources, "batches": len(self.batches), "steps": self.batches.steps_per_epoch}

    def _scheduled(self, epoch: int, first: int, last: int) -> int:
        """Return the rows that stand in some micro steps, without fillers."""
        sizes = np.diff(self.batches.dataset.plan(epoch).starts)
        dealt = self.batches.plan(epoch)
        turns, filler = dealt.turns[first:last], dealt.filler[first:last]
        return int(sizes[turns[(turns >= 0) & ~filler]].sum())

    def _write(self, epoch: int, **entry: object) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, **entry}, ensure_ascii=False) + "\n")
