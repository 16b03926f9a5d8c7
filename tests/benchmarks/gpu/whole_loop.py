"""Whole trainings against ms-swift: `python tests/benchmarks/gpu/whole_loop.py [--rows ragged]`, for a try on a CPU
with `--device cpu --size tiny`.

The 2B shape with random weights, stage 2, a batch of 4 on one GPU, the same prompts, answers and pictures: 512
generated 1080p pictures with 20 objects (`--rows even`), or pictures and answers of all lengths (`ragged`). Three
kinds of run take turns: qvl as its recipe stands, `swift sft` with its own defaults, and `swift sft` with the flags of
the qvl run. Told are samples a second after the first steps, the share of the time in which the loop waits for data,
and the time from the command to the end of the first step. Aims: 1.25 of ms-swift's defaults, 1.0 at equal flags, 1.5
on ragged rows, at most 1 % waiting.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loop_data import ROWS, write_all
from real_shapes import finish, keep, model_config, parse

HERE = Path(__file__).parent
_EQUAL = ("gradient_checkpointing", "vit_gradient_checkpointing", "dataloader_num_workers", "weight_decay")
_EQUAL += ("adam_beta2", "max_grad_norm", "lr_scheduler_type", "warmup_ratio")
_EQUAL += ("use_logits_to_keep", "lora_dtype", "use_liger_kernel")


@dataclass(frozen=True)
class Task:
    """What all kinds of run do.

    Attributes:
        folder: Holds model, rows and what the runs write.
        size: Of the model.
        turns: Of a micro step; two make an optimiser step.
        steps: Optimiser steps.
        rows: `even` or `ragged`.
        device: cuda or cpu.
    """

    folder: Path
    size: str
    turns: int
    steps: int
    rows: str
    device: str

    @property
    def model(self) -> Path:
        """Folder of the model."""
        return self.folder / "model"

    @property
    def dtype(self) -> str:
        """Type of the frozen weights; a CPU is slow in bfloat16."""
        return "bfloat16" if self.device == "cuda" else "float32"


def main(start: Callable[[Path, Sequence[str], Mapping[str, str]], None] | None = None) -> None:
    """Measure.

    Args:
        start: Runs `arm.py` with words and environment variables in a folder; a process of its own if not given.
    """
    chosen = parse(__doc__, rows="even")
    tiny = chosen.size == "tiny"
    size = "2b" if chosen.size == "all" else chosen.size
    with tempfile.TemporaryDirectory() as name:
        task = Task(Path(name), size, 2 if tiny else 4, 2 if tiny else 24, chosen.rows, chosen.device)
        count = 2 * task.turns if tiny else 512
        write_all(task.folder, count, ragged=task.rows == "ragged", most=4 if tiny else 80)
        write_model(task)
        arms, missing = ["qvl", "swift defaults", "swift equal flags"], []
        rows: list[dict[str, Any]] = []
        for number, arm in enumerate(arms if tiny else arms * 2):
            longest = max((row["seconds"] for row in rows), default=0.0)
            if number >= len(arms) and time.monotonic() + longest > chosen.until:
                missing.append(f"{arm}, round {number // len(arms) + 1}")
                continue
            rows.append(measure(task, arm, task.folder / f"run_{number}", start or start_process))
            keep(f"whole_loop_{task.rows}", rows, chosen)
    finish(f"whole_loop_{task.rows}", rows, chosen, missing=missing, **verdicts(rows))


def write_model(task: Task) -> None:
    """Write a checkpoint folder of a real shape with random weights and the small tokenizer that qvl ships."""
    import torch
    from real_shapes import build_model

    import qvl.models

    shipped = Path(qvl.models.__file__).parent / "tiny_checkpoint"
    ids = json.loads((shipped / "config.json").read_text())
    model = build_model(task.size, task.device)
    model.config = model_config(task.size)
    for name in ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"):
        setattr(model.config, name, ids[name])
    model.config.dtype = torch.bfloat16
    model.save_pretrained(task.model)
    for file in shipped.iterdir():
        if file.suffix != ".safetensors" and file.name not in ("config.json", "qvl_contract.json"):
            shutil.copy(file, task.model)
    del model
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def qvl_words(task: Task, run: Path) -> list[str]:
    """Return the words of a run of qvl: its recipe, and what the task is."""
    words = ["model=tiny"] if task.size == "tiny" else [f"model=qwen3_vl_{task.size}", "model.attn_impl=sdpa"]
    grouped = ["data.batching=grouped"] if task.rows == "ragged" else []
    return [
        "+recipe=stage2_lora",
        *words,
        *grouped,
        f"hydra.run.dir={run}",
        f"model.path={task.model}",
        f"model.torch_dtype={task.dtype}",
        "data.prepare=null",
        f"data.train.path={task.folder / ROWS}",
        f"data.val.path={task.folder / ROWS}",
        "data.val.limit=2",
        "data.images_per_user_turn=1",
        f"training.per_device_train_batch_size={task.turns}",
        f"training.effective_batch_size={2 * task.turns}",
        f"training.max_steps={task.steps}",
        "training.eval_strategy='no'",
        "training.save_strategy='no'",
        "training.metric_for_best_model=loss",
        "evaluation.num_samples=0",
        "evaluation.before_training=false",
    ]


def swift_words(task: Task, run: Path, equal: Mapping[str, Any]) -> list[str]:
    """Return the words of `swift sft`: what the task is, and flags of a run of qvl if they are to be equal."""
    tuner = {
        "tuner_type": "lora",
        "target_modules": "all-linear",
        "freeze_vit": "true",
        "freeze_aligner": "true",
        "lora_rank": 8,
        "lora_alpha": 32,
        "lora_dropout": 0.1,
    }
    values: dict[str, Any] = {
        **{"model": task.model, "model_type": "qwen3_vl", "torch_dtype": task.dtype, "attn_impl": "sdpa"},
        **tuner,
        "dataset": task.folder / "swift.jsonl",
        "split_dataset_ratio": 0,
        "load_from_cache_file": "false",
        "output_dir": run,
        "add_version": "false",
        "bf16": str(task.dtype == "bfloat16").lower(),
        "fp16": "false",
        "max_length": 10000,
        "per_device_train_batch_size": task.turns,
        "gradient_accumulation_steps": 2,
        "max_steps": task.steps,
        "learning_rate": 5e-4,
        **{"save_strategy": "no", "eval_strategy": "no", "report_to": "none", "logging_steps": 10},
        **{"use_hf": "true", "check_model": "false"},
        **{key: str(value).lower() for key, value in equal.items() if value is not None},
    }
    merger = "model.visual."
    saved = [f"{merger}merger", *(f"{merger}deepstack_merger_list.{number}" for number in range(3))]
    flags = [word for key, value in values.items() for word in (f"--{key}", str(value))]
    return [*flags, "--modules_to_save", *saved]


def measure(task: Task, arm: str, run: Path, start: Callable[..., None]) -> dict[str, Any]:
    """Run one training and return its row."""
    from qvl.command import compose
    from qvl.schema import register_schema

    times = run.with_suffix(".json")
    kind, environ = arm.split()[0], {"USE_CPU": "1"} if task.device == "cpu" else {}
    if kind == "qvl":
        words = qvl_words(task, run)
    else:
        register_schema()
        model = compose([word for word in qvl_words(task, run) if word.split("=")[0] in ("+recipe", "model")]).model
        square = model.side_factor**2  # both see pictures of the same size
        environ |= {"IMAGE_MIN_TOKEN_NUM": str(model.min_pixels // square)}
        environ |= {"IMAGE_MAX_TOKEN_NUM": str(model.max_pixels // square)}
        first = json.loads((task.folder / "run_0" / "args.json").read_text()) if arm.endswith("flags") else {}
        words = swift_words(task, run, {key: first[key] for key in _EQUAL if key in first})
    begin = time.time()
    start(task.folder, [str(times), kind, *words], environ)
    told = json.loads(times.read_text())
    return {"arm": arm, **summary(told, begin, samples=2 * task.turns), "seconds": time.time() - begin}


def summary(told: Mapping[str, Any], begin: float, *, samples: int) -> dict[str, Any]:
    """Return the figures of a run: those of the steps after the first quarter."""
    steps, waits = told["steps"], told["waits"]
    first = max(1, len(steps) // 4)
    seconds = steps[-1] - steps[first - 1]
    return {
        "samples_s": samples * (len(steps) - first) / seconds,
        "data_wait": sum(waits[first : len(steps)]) / seconds,
        "first_step_s": steps[0] - begin,
        "peak_gib": told["peak_gib"],
    }


def start_process(folder: Path, words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Run `arm.py` in a process of its own; what it says is shown when it fails."""
    command = [sys.executable, str(HERE / "arm.py"), *words]
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True)
    if done.returncode or not Path(words[0]).exists():
        sys.stdout.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise SystemExit(f"arm.py {words[1]} ended with {done.returncode}")


def verdicts(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the ratios of the medians."""
    rates: dict[str, list[float]] = {}
    for row in rows:
        rates.setdefault(row["arm"], []).append(row["samples_s"])
    middle = {arm: statistics.median(values) for arm, values in rates.items()}
    waits = [row["data_wait"] for row in rows if row["arm"] == "qvl"]
    told = {f"qvl / {arm}": middle["qvl"] / value for arm, value in middle.items() if arm != "qvl"}
    return told | {"data wait of qvl": statistics.median(waits)}


if __name__ == "__main__":
    main()
