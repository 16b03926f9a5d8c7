"""When a model answers while it is trained, and its worst answers in TensorBoard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback

__all__ = ["AnswerSteps", "show_pictures"]


class AnswerSteps(TrainerCallback):
    """Asks for an evaluation at every step at which the model is to answer, whatever else is evaluated when."""

    def __init__(self, every: int | None) -> None:
        """Choose the steps.

        Args:
            every: Optimiser steps between two evaluations with answers, 0 for the last step only; None for none.
        """
        self.every = every

    def is_due(self, state: TrainerState) -> bool:
        """Return whether the model is to answer after the step that was taken last."""
        step = state.global_step
        if self.every is None or step == 0:
            return False
        return step >= state.max_steps or (self.every > 0 and step % self.every == 0)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Ask."""
        if self.is_due(state):
            control.should_evaluate = True


def show_pictures(callbacks: Iterable[TrainerCallback], pictures: Sequence[Image.Image], *, step: int) -> None:
    """Write pictures as `worst/1`, `worst/2`, ... where the scalars of a run are written.

    A writer of its own would make a second file of events in the folder, and TensorBoard reads one at a time.

    Args:
        callbacks: Those of the trainer.
        pictures: The worst answer first.
        step: Optimiser step.
    """
    for callback in callbacks:
        if isinstance(callback, TensorBoardCallback) and callback.tb_writer is not None:
            for number, picture in enumerate(pictures, 1):
                pixels = np.asarray(picture.convert("RGB"))
                callback.tb_writer.add_image(f"worst/{number}", pixels, step, dataformats="HWC")
