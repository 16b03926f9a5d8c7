"""A callback of the runs under test: counts how often layers run forward and backward in training.

It looks at the model as a run has it at its first step, behind all hooks of upstream, and leaves `calls_RANK.json`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

from transformers import TrainerCallback

TOWERS = {"visual.blocks": "vision", "language_model.layers": "text"}


class CountCalls(TrainerCallback):
    def __init__(self):
        self.calls = Counter()

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        for name, module in model.named_modules():
            for layers, tower in TOWERS.items():
                if name.rpartition(".")[0].endswith(layers):
                    module.register_forward_pre_hook(self._forward(tower))  # checkpointing may not reach the end of one
                    module.register_forward_hook(self._backward(tower))
            if name.endswith("visual.patch_embed"):
                module.register_forward_pre_hook(self._forward("batches"))

    def _forward(self, name):
        def count(module, inputs):
            self.calls[name] += module.training

        return count

    def _backward(self, name):
        def count(gradient):
            self.calls[f"{name} backward"] += 1

        def follow(module, inputs, output):
            tensor = output[0] if isinstance(output, tuple) else output
            if module.training and tensor.requires_grad:
                tensor.register_hook(count)

        return follow

    def on_train_end(self, args, state, control, **kwargs):
        rank = os.environ.get("RANK", "0")
        Path(args.output_dir, f"calls_{rank}.json").write_text(json.dumps(self.calls))
