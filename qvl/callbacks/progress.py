"""Where a training stands: a bar on a terminal, plain lines elsewhere, and a file for whoever watches from outside."""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from qvl.callbacks.telemetry import FIGURES
from qvl.runtime.files import write_bytes

__all__ = ["ProgressBar", "ProgressFile"]

_SECONDS_BETWEEN_WRITES = 1.0

_log = logging.getLogger(__name__)


class ProgressBar(TrainerCallback):
    """Shows step, loss and remaining time on the first process."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start the bar."""
        if state.is_world_process_zero:
            columns = (TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
            self._progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), transient=True)
            self._progress.add_task("train", total=state.max_steps, completed=state.global_step, loss="")
            if self._progress.console.is_terminal:
                self._progress.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Move on by one step."""
        if self._progress:
            self._progress.update(self._progress.task_ids[0], completed=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Show the newest loss."""
        if not self._progress or not logs or "loss" not in logs:
            return
        if self._progress.console.is_terminal:
            self._progress.update(self._progress.task_ids[0], loss=f"loss {float(logs['loss']):.3f}")
        else:
            _log.info("step %d of %d: loss %.3f", state.global_step, state.max_steps, float(logs["loss"]))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Stop the bar."""
        self.close()

    def close(self) -> None:
        """Give the terminal back, also after an error."""
        if self._progress:
            self._progress.stop()


class ProgressFile(TrainerCallback):
    """Keeps `progress.json` in the run folder: about once a second, evaluations included, and at the end.

    `step`, `max_steps`, `loss` (the newest that was logged), `steps_per_second` since this start, `eta_seconds`, and
    `gpu_memory_gb`, the most that the first process has held on its device in 10^9 bytes; then the newest figures that
    the telemetry logged, over all processes, see `qvl.callbacks.FIGURES`. What is not known is null.
    A reader, such as the launcher or the report, sees a whole file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loss: float | None = None
        self._figures: dict[str, float | None] = dict.fromkeys(FIGURES)
        self._start = (0.0, 0)
        self._written = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start the clock."""
        self._loss = next((entry["loss"] for entry in reversed(state.log_history) if "loss" in entry), None)
        self._start = (time.monotonic(), state.global_step)
        self._write(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Write unless that was done just now."""
        if control.should_save or time.monotonic() - self._written >= _SECONDS_BETWEEN_WRITES:
            self._write(state)

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Show that an evaluation goes on: a launcher takes a file that stands still for a hanging run."""
        if time.monotonic() - self._written >= _SECONDS_BETWEEN_WRITES:
            self._write(state)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Remember the newest loss and figures."""
        if logs and math.isfinite(loss := float(logs.get("loss", math.nan))):
            self._loss = loss
            self._figures = {name: logs.get(name) for name in FIGURES}

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Write where it ended."""
        self._write(state)

    def _write(self, state: TrainerState) -> None:
        if not state.is_world_process_zero:
            return
        self._written = time.monotonic()
        began, first = self._start
        steps, seconds = state.global_step - first, self._written - began
        rate = steps / seconds if steps and seconds else None
        values = {
            "step": state.global_step,
            "max_steps": state.max_steps,
            "loss": self._loss,
            "steps_per_second": rate,
            "eta_seconds": (state.max_steps - state.global_step) / rate if rate else None,
            "gpu_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_initialized() else None,
            **self._figures,
        }
        write_bytes(self.path, (json.dumps(values) + "\n").encode(), sync=False)
