"""What every epoch was meant to train on, and what it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qvl.data import TurnDataset
from qvl.data.batching import BatchPlan
from qvl.errors import HealthError
from qvl.runtime.distributed import gathered
from qvl.runtime.files import write_json, write_lines

__all__ = ["ROWS_NAME", "EpochAccount", "RowCount"]

ROWS_NAME = "qvl_rows.json"


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


@dataclass(frozen=True, slots=True)
class RowCount:
    """Rows of an epoch up to some step; it travels in the checkpoint of that step.

    Attributes:
        epoch: Number of the epoch.
        micro_steps: Micro steps of it that are done.
        scheduled: Rows that stand in them.
        trained: Rows that reached the model, added over all processes.
        kept_plain: Turns that were not augmented because that would have made them too long.
    """

    epoch: int
    micro_steps: int = 0
    scheduled: int = 0
    trained: int = 0
    kept_plain: int = 0

    @classmethod
    def of_checkpoint(cls, checkpoint: Path | None) -> RowCount | None:
        """Return what a checkpoint carries; None for one that carries no count."""
        if checkpoint is None or not (path := checkpoint / ROWS_NAME).is_file():
            return None
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, checkpoint: Path) -> None:
        """Write it into a checkpoint that is being made."""
        write_json(checkpoint / ROWS_NAME, asdict(self))


class EpochAccount(TrainerCallback):
    """Writes the plan of every epoch into the run folder, and makes sure at its end that its rows were trained on.

    `epochs.jsonl` gets two lines an epoch: `plan`, the rows, turns and steps of each source, and `account`, the rows
    that were scheduled in the steps taken and those that reached the model, added over all processes. A run that goes
    on from a checkpoint takes over the count in it, so the account is that of the whole epoch.
    """

    def __init__(self, trainer: CountsRows, batches: PlansBatches, path: Path, *, resumed: Path | None = None) -> None:
        """Say what is counted.

        Args:
            trainer: Counts the rows.
            batches: Know the plan.
            path: `epochs.jsonl`; its lines of epochs that are trained again are replaced.
            resumed: The checkpoint that training goes on from.
        """
        self.trainer = trainer
        self.batches = batches
        self.path = path
        self._carried = RowCount.of_checkpoint(resumed)
        self._first = 0
        self._begun = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Bring the file to where the checkpoint is.

        Raises:
            HealthError: The run was stopped at the last step of an epoch, before its account, which does not add up.
        """
        epoch = state.global_step // self.batches.steps_per_epoch
        done = self._before(epoch - 1)
        if state.is_world_process_zero and self.path.exists():
            kept = [line for line in _lines(self.path) if line["epoch"] < epoch]
            write_lines(self.path, [_encoded(line) for line in kept])
            if done and not any("account" in line for line in kept if line["epoch"] == done.epoch):
                self._write(done.epoch, account=_told(done))
        if done:
            _check(done)

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Write the plan; a resumed run begins inside an epoch."""
        epoch = self.batches.dataset.epoch
        steps_before = state.global_step - epoch * self.batches.steps_per_epoch
        self._first = max(steps_before, 0) * self.batches.accumulation
        self._begun = True
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
        count = self.count(state.global_step)
        if state.is_world_process_zero:
            self._write(count.epoch, account=_told(count, first=0 if self._before(count.epoch) else self._first))
        _check(count)

    def count(self, step: int) -> RowCount:
        """Return the rows of the current epoch up to an optimiser step; all processes have to call it."""
        if not self._begun:
            return self._carried or RowCount(epoch=0)
        epoch = self.batches.dataset.epoch
        steps_taken = step - epoch * self.batches.steps_per_epoch
        last = min(steps_taken * self.batches.accumulation, len(self.batches))
        before = self._before(epoch) or RowCount(epoch)
        return RowCount(
            epoch,
            micro_steps=last,
            scheduled=before.scheduled + self._scheduled(epoch, self._first, last),
            trained=before.trained + sum(gathered(self.trainer.num_rows)),
            kept_plain=self.batches.num_kept_plain,
        )

    def _before(self, epoch: int) -> RowCount | None:
        """Return what earlier starts of the run did of an epoch."""
        return self._carried if self._carried and self._carried.epoch == epoch else None

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
        with self.path.open("ab") as file:
            file.write(_encoded({"epoch": epoch, **entry}))


def _check(count: RowCount) -> None:
    if count.scheduled != count.trained:
        raise HealthError(f"epoch {count.epoch}: {count.scheduled} rows were scheduled, {count.trained} trained on")


def _told(count: RowCount, *, first: int = 0) -> dict[str, object]:
    return {
        "rows_scheduled": count.scheduled,
        "rows_trained": count.trained,
        "micro_steps": [first, count.micro_steps],
        "turns_not_augmented_for_length": count.kept_plain,
    }


def _encoded(line: Mapping[str, object]) -> bytes:
    return (json.dumps(line, ensure_ascii=False) + "\n").encode()


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the file; the last one may have been cut off by a kill."""
    content = path.read_bytes()
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
