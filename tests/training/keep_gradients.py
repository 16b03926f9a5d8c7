"""A callback of the runs under test: keeps what the optimiser is about to be given, and the losses of the log."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from safetensors.torch import save_file
from transformers import TrainerCallback


class KeepGradients(TrainerCallback):
    """Writes gradients, adapters and settings of the optimiser into the run folder before each step."""

    def on_pre_optimizer_step(self, args, state, control, model=None, optimizer=None, **kwargs):
        trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
        end = f"{state.global_step}-{os.environ.get('RANK', '0')}.safetensors"
        grads = {name: value.grad.contiguous() for name, value in trained.items() if value.grad is not None}
        save_file(grads, Path(args.output_dir) / f"gradients-{end}")
        adapters = {name: value.detach().contiguous() for name, value in trained.items() if "lora_" in name}
        if adapters:
            save_file(adapters, Path(args.output_dir) / f"adapters-{end}")
        group = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
        compiled = "torch._dynamo.utils" in sys.modules and sys.modules["torch._dynamo.utils"].counters["frames"]["ok"]
        settings = {"optimiser": type(optimizer.optimizer).__name__, "compiled_frames": int(compiled), **group}
        (Path(args.output_dir) / f"optimiser-{state.global_step}.json").write_text(json.dumps(settings))

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero and "loss" in (logs or {}):
            with (Path(args.output_dir) / "losses.jsonl").open("a") as log:
                log.write(json.dumps(logs["loss"]) + "\n")
