"""Do something when everything is ready for the first step."""

from __future__ import annotations

from collections.abc import Callable

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

__all__ = ["CallAtBegin"]


class CallAtBegin(TrainerCallback):
    """Calls a function once the model is wrapped for its processes, before the first batch."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Call it."""
        self.function()
