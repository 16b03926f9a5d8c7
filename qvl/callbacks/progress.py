"""Where a training stands: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

__all__ = ["ProgressBar"]

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
        if self._progress:
            self._progress.stop()
