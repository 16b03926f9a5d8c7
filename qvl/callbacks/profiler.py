"""Where the time of a few steps goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

if TYPE_CHECKING:
    from torch.profiler import profile

__all__ = ["TorchProfiler"]


class TorchProfiler(TrainerCallback):
    """Writes a trace of some steps into `profile/` of the run folder, for TensorBoard or Perfetto."""

    def __init__(self, *, skip: int = 2, steps: int = 3) -> None:
        """Choose the steps.

        Args:
            skip: Steps before the first one that is recorded.
            steps: Steps that are recorded.
        """
        self.skip = skip
        self.steps = steps
        self._profile: profile | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Start recording by schedule."""
        from torch.profiler import profile, schedule, tensorboard_trace_handler

        self._profile = profile(
            schedule=schedule(wait=self.skip, warmup=0, active=self.steps, repeat=1),
            on_trace_ready=tensorboard_trace_handler(str(Path(args.output_dir) / "profile")),
        )
        self._profile.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Count a step."""
        if self._profile:
            self._profile.step()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Stop, also when there were fewer steps than asked for."""
        if self._profile:
            self._profile.stop()
