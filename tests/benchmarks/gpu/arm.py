"""One training, watched: `python arm.py TIMES.json qvl|swift WORDS...`, words of `qvl.train` or of `swift sft`.

Both kinds are watched in the same way: a callback notes the end of every optimiser step, when the device is done, and
how long the trainer waited for the batches of the step.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any


def main() -> None:
    out, kind, *words = sys.argv[1:]
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    watch(Path(out))
    if kind == "qvl":
        from qvl.train import cli

        sys.argv = ["qvl-train", *words]
        cli()
        return
    from swift.pipelines import SwiftSft, sft_main

    prepare = SwiftSft._prepare_template

    def with_own_ids(self: Any) -> None:
        """Take the placeholders from the processor; the ids in ms-swift are those of the real vocabulary."""
        prepare(self)
        self.template.image_token_id = self.processor.image_token_id
        self.template.video_token_id = self.processor.video_token_id

    SwiftSft._prepare_template = with_own_ids
    sft_main(words)


def watch(out: Path) -> None:
    """Let every trainer of this process write down when its steps ended and how long it waited for data."""
    import torch
    from transformers import Trainer, TrainerCallback

    told: dict[str, Any] = {"steps": [], "waits": [], "peak_gib": None}

    def synchronize() -> None:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
            told["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30

    class Times(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            synchronize()
            told["steps"].append(time.time())
            out.write_text(json.dumps(told))

    def timed(batches: Iterator[Any]) -> Iterator[Any]:
        while True:
            begin = time.time()
            try:
                batch = next(batches)
            except StopIteration:
                return
            told["waits"][-1] += time.time() - begin
            yield batch

    plain, init = Trainer.get_batch_samples, Trainer.__init__

    @wraps(init)
    def with_times(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.add_callback(Times)

    def get_batch_samples(self: Any, batches: Iterator[Any], *args: Any, **kwargs: Any) -> Any:
        told["waits"].append(0.0)
        return plain(self, timed(batches), *args, **kwargs)

    Trainer.get_batch_samples = get_batch_samples
    Trainer.__init__ = with_times


if __name__ == "__main__":
    main()
