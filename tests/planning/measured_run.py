"""`qvl.train`, with the most bytes that the tensors of each micro step take in a file of the working folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from live_bytes import LiveBytes

from qvl import train
from qvl.training.trainer import SealedTrainer

FILE = "PEAKS"

if __name__ == "__main__":
    peaks: list[int] = []
    before = SealedTrainer.training_step

    def measured(self, model, inputs, *args, **kwargs):
        with LiveBytes() as meter:
            loss = before(self, model, inputs, *args, **kwargs)
        peaks.append(meter.peak)
        Path(os.environ[FILE]).write_text(json.dumps(peaks))
        return loss

    SealedTrainer.training_step = measured
    train.cli()
