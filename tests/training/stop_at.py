"""A callback of the runs under test: signals its own process at a chosen moment.

QVL_TEST_STOP is EVENT:STEP:RANKS[:SIGNAL[:SECONDS]]: `step:3:01` as step 3 begins, on ranks 0 and 1;
`prediction:4:1:SIGUSR1` after a batch of the evaluation of step 4; `closing:7:0` when the trained model is scored;
`step:3:1:SIGTERM:0.2` up to 0.2 seconds later.
"""

from __future__ import annotations

import os
import random
import signal
import threading

from transformers import TrainerCallback


class StopAt(TrainerCallback):
    over = False

    def _stop(self, event, step):
        wanted, at, ranks, *more = os.environ.get("QVL_TEST_STOP", "never:0:0").split(":")
        if (event, step) != (wanted, int(at)) or os.environ.get("RANK", "0") not in ranks:
            return
        number = signal.Signals[more[0] if more else "SIGTERM"]
        if len(more) > 1:
            delay = random.Random().uniform(0, float(more[1]))  # the generator of the training is left alone
            threading.Timer(delay, os.kill, (os.getpid(), number)).start()
        else:
            os.kill(os.getpid(), number)

    def on_step_begin(self, args, state, control, **kwargs):
        self._stop("step", state.global_step + 1)

    def on_prediction_step(self, args, state, control, **kwargs):
        self._stop("closing" if self.over else "prediction", state.global_step)

    def on_train_end(self, args, state, control, **kwargs):
        self.over = True
