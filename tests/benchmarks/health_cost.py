"""What the health checks add to the encoding of a sample: `python tests/benchmarks/health_cost.py`.

Encoding with and without checks alternates in one process; the figure is the median difference and its ratio.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from qvl.conversation import DenseBuilder
from qvl.data import DemoScenes, JsonlDataset, KeepAll, SampleContext, TurnFormat
from qvl.models import create_tiny_checkpoint
from qvl.prompts import PromptScheme

ROUNDS = 100


def main() -> None:
    from swift.model import get_model_processor
    from swift.template import get_template

    from qvl.training.encoding import ConversationEncoder

    with tempfile.TemporaryDirectory() as folder:
        create_tiny_checkpoint(Path(folder, "tiny"), ["List every object."], seed=0)
        _, processor = get_model_processor(f"{folder}/tiny", load_model=False, model_type="qwen3_vl")
        template = get_template(processor)
        template.set_mode("train")
        template.image_token_id = processor.image_token_id
        scenes = DemoScenes(root=f"{folder}/scenes", style="field", seed=1, splits={"train": 20}).prepare()
        builder = DenseBuilder(prompts=PromptScheme(user="List every object."))
        form = TurnFormat("norm1000", "tlbr", "图片", 4096, 65536)
        turns = JsonlDataset(
            path=str(scenes / "train.jsonl"), preprocessor=KeepAll(), context=SampleContext(builder, form, 0)
        )
        encoder = ConversationEncoder(template, form)
        times: dict[bool, list[float]] = {False: [], True: []}
        for number in range(ROUNDS):
            turn = turns[number % len(turns)]
            for check in (False, True):
                start = time.process_time()
                encoder.encode(turn, check=check)
                times[check].append(time.process_time() - start)
    added = statistics.median(b - a for a, b in zip(times[False], times[True], strict=True))
    share = statistics.median(b / a for a, b in zip(times[False], times[True], strict=True))
    sys.stdout.write(f"health checks: {added * 1000:.2f} ms a sample of two pictures, {share:.3f} x encoding alone\n")


if __name__ == "__main__":
    main()
