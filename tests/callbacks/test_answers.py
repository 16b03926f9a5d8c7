from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from transformers import TrainerControl, TrainerState
from transformers.integrations import TensorBoardCallback

from qvl.callbacks import AnswerSteps, show_pictures


def due(every: int | None, *, steps: int = 7) -> list[int]:
    """Return the steps after which an evaluation is asked for."""
    found = []
    for step in range(1, steps + 1):
        control = TrainerControl()
        AnswerSteps(every).on_step_end(None, TrainerState(global_step=step, max_steps=steps), control)
        found += [step] * control.should_evaluate
    return found


@pytest.mark.parametrize(("every", "steps"), [(3, [3, 6, 7]), (1, [1, 2, 3, 4, 5, 6, 7]), (0, [7]), (None, [])])
def test_an_evaluation_is_asked_for_at_every_nth_step_and_the_last(every, steps):
    assert due(every) == steps


def test_an_evaluation_that_others_asked_for_stays_and_is_not_due():
    control, state = TrainerControl(should_evaluate=True), TrainerState(global_step=2, max_steps=7)
    AnswerSteps(3).on_step_end(None, state, control)
    assert control.should_evaluate
    assert not AnswerSteps(3).is_due(state)


def test_nothing_is_due_before_the_first_step():
    assert not AnswerSteps(1).is_due(TrainerState(global_step=0, max_steps=0))


def test_pictures_go_to_the_writer_of_the_run():
    shown = {}

    def add_image(tag, pixels, step, *, dataformats):
        shown[tag] = (pixels.shape, pixels.dtype, step, dataformats)

    writing, closed = TensorBoardCallback(SimpleNamespace(add_image=add_image)), TensorBoardCallback()
    show_pictures([closed, writing], [Image.new("L", (8, 4)), Image.new("RGB", (2, 2))], step=5)
    assert shown == {
        "worst/1": ((4, 8, 3), np.dtype("uint8"), 5, "HWC"),
        "worst/2": ((2, 2, 3), np.dtype("uint8"), 5, "HWC"),
    }
