"""What the measurements on a GPU share: models of real widths with random weights, their batches, clocks and tables.

Every script takes `--device cpu --size tiny`, which runs the same code in seconds and measures nothing of interest.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1]))  # side_by_side

OUT = Path("multirun_outputs/benchmarks/gpu")
RECIPES = {1: "stage1_aligner", 2: "stage2_lora"}


@dataclass(frozen=True)
class Shape:
    """Widths of a Qwen3-VL, and of the turns that it is measured with."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int = 128
    vision: tuple[int, int, int, int] = (1024, 4096, 24, 16)  # width, width inside the MLP, layers, heads
    deepstack: tuple[int, ...] = (5, 11, 17)
    grid: tuple[int, int] = (72, 56)  # rows and columns of patches of the picture of a turn
    prompt: int = 131
    answer: int = 909
    vocabulary: int = 151936

    def special(self, name: str) -> int:
        """Return the id of a token that stands for something else; in the real vocabulary it is 151655, ..."""
        return self.vocabulary - {"start": 284, "end": 283, "image": 281, "video": 280}[name]

    @property
    def visual(self) -> int:
        """Visual tokens of a turn."""
        return self.grid[0] * self.grid[1] // 4

    @property
    def tokens(self) -> int:
        """Tokens of a turn."""
        return self.prompt + self.visual + self.answer


SHAPES = {
    "2b": Shape(2048, 6144, 28, 16, 8),
    "4b": Shape(2560, 9728, 36, 32, 8),
    "tiny": Shape(64, 128, 4, 4, 2, 16, (32, 64, 4, 2), (0, 1, 2), (4, 4), prompt=6, answer=10, vocabulary=2048),
}


def parse(description: str | None, **options: Any) -> argparse.Namespace:
    """Read the command line.

    Args:
        description: Of the script.
        **options: Defaults of further options.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--size", default="all", choices=["all", *SHAPES], help="all: 4b and 2b")
    parser.add_argument("--seconds", type=float, default=230.0, help="cells that would begin later are left out")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the JSON")
    for name, default in options.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    chosen = parser.parse_args()
    chosen.until = time.monotonic() + chosen.seconds
    chosen.sizes = ["4b", "2b"] if chosen.size == "all" else [chosen.size]
    return chosen


def model_config(size: str) -> Any:
    """Return the configuration of a model."""
    from transformers import Qwen3VLConfig

    shape = SHAPES[size]
    width, inner, layers, heads = shape.vision
    sections = [shape.head_size // 2 - 2 * (shape.head_size * 5 // 32), *[shape.head_size * 5 // 32] * 2]
    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": sections, "mrope_interleaved": True}
    return Qwen3VLConfig(
        text_config={
            "vocab_size": shape.vocabulary,
            "hidden_size": shape.hidden,
            "intermediate_size": shape.inner,
            "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.kv_heads,
            "head_dim": shape.head_size,
            "max_position_embeddings": 262144,
            "rope_parameters": rope,
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": layers,
            "hidden_size": width,
            "intermediate_size": inner,
            "num_heads": heads,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": shape.hidden,
            "num_position_embeddings": 2304,
            "deepstack_visual_indexes": list(shape.deepstack),
        },
        image_token_id=shape.special("image"),
        video_token_id=shape.special("video"),
        vision_start_token_id=shape.special("start"),
        vision_end_token_id=shape.special("end"),
        tie_word_embeddings=True,
    )


def build_model(size: str, device: str) -> Any:
    """Return a model with random weights in bfloat16, made on the device."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    config = model_config(size)
    config._attn_implementation = "sdpa"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = Qwen3VLForConditionalGeneration(config).train()
    finally:
        torch.set_default_dtype(before)
    model.model.visual._input_embed_layer = "patch_embed"  # as ms-swift does it: checkpointing hooks it
    return model


@dataclass(frozen=True)
class Tuned:
    """A model as a recipe trains it."""

    model: Any
    stage: int
    optimizer: Any
    trained: int
    adapter_weights: int
    tuner: Mapping[str, Any]


def tune(model: Any, stage: int) -> Tuned:
    """Freeze and adapt a model as the recipe of a stage does, with qvl's own checks, types and hooks."""
    import torch
    from omegaconf import OmegaConf

    from qvl.command import compose
    from qvl.schema import register_schema
    from qvl.training.freezing import check_trainable, expected_trainable, reach_all_weights
    from qvl.training.precision import TrainedWeights

    register_schema()
    tuner: dict[str, Any] = OmegaConf.to_container(compose([f"+recipe={RECIPES[stage]}"]).tuner)
    expected = expected_trainable(model, tuner)
    if tuner["tuner_type"] == "full":
        for name, value in model.named_parameters():
            value.requires_grad_(name in expected)
    else:
        model = _with_adapters(model, tuner, expected)
    check_trainable(model, expected)
    TrainedWeights(model, sharded=False)
    reach_all_weights(model)
    trained = [value for value in model.parameters() if value.requires_grad]
    adapters = sum(value.numel() for name, value in model.named_parameters() if "lora_" in name)
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    return Tuned(model, stage, optimizer, sum(value.numel() for value in trained), adapters, tuner)


def _with_adapters(model: Any, tuner: Mapping[str, Any], expected: set[str]) -> Any:
    from peft import LoraConfig, get_peft_model

    prefix, suffix = "base_model.model.", ".lora_A.default.weight"
    config = LoraConfig(
        r=tuner["lora_rank"],
        lora_alpha=tuner["lora_alpha"],
        lora_dropout=tuner["lora_dropout"],
        target_modules=[name.removeprefix(prefix).removesuffix(suffix) for name in expected if name.endswith(suffix)],
        modules_to_save=list(tuner["modules_to_save"]),
    )
    return get_peft_model(model, config)


@contextmanager
def mode(tuned: Tuned, *, checkpointing: bool, cut: bool) -> Iterator[None]:
    """Train with or without checkpointing, and with or without the frozen vision encoder cut off, for a while."""
    from qvl.training.freezing import cut_frozen_tower

    model = tuned.model
    inner = model.get_base_model() if tuned.stage == 2 else model
    if checkpointing:
        inner.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        inner.enable_input_require_grads()
    handle = cut_frozen_tower(model) if cut else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
        if checkpointing:
            inner.gradient_checkpointing_disable()
            inner.disable_input_require_grads()


def make_batch(size: str, turns: int, device: str) -> dict[str, Any]:
    """Return equal turns with one picture each: prompt, picture, answer; numbers are drawn, never zeros."""
    import torch

    shape = SHAPES[size]
    draw = torch.Generator(device=device).manual_seed(0)
    rows, columns = shape.grid
    tokens = torch.randint(0, shape.vocabulary - 300, (turns, shape.tokens), generator=draw, device=device)
    tokens[:, shape.prompt - 2] = shape.special("start")
    tokens[:, shape.prompt - 1 : shape.prompt - 1 + shape.visual] = shape.special("image")
    tokens[:, shape.prompt - 1 + shape.visual] = shape.special("end")
    return {
        "input_ids": tokens,
        "mm_token_type_ids": (tokens == shape.special("image")).int(),
        "pixel_values": torch.rand((turns * rows * columns, 1536), generator=draw, device=device) * 2 - 1,
        "image_grid_thw": torch.tensor([[1, rows, columns]] * turns, device=device),
    }


def train_step(tuned: Tuned, size: str, batch: Mapping[str, Any]) -> None:
    """Run forward, backward and the optimiser, with logits of the answers only, as training does."""
    import torch
    from torch.nn import functional

    tokens, kept = batch["input_ids"], SHAPES[size].answer + 1
    with torch.autocast(tokens.device.type, torch.bfloat16):
        logits = tuned.model(**batch, logits_to_keep=kept).logits[:, :-1].float()
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1 - kept :].flatten())
    loss.backward()
    tuned.optimizer.step()
    tuned.optimizer.zero_grad(set_to_none=True)


def time_steps(step: Callable[[], None], device: str, *, warm_up: int, count: int) -> float:
    """Return the median milliseconds of a step: by events on a GPU, by the clock on a CPU."""
    import torch

    for _ in range(warm_up):
        step()
    if device == "cpu":
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            step()
            times.append((time.perf_counter() - begin) * 1000)
        return statistics.median(times)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    events[0].record()
    for event in events[1:]:
        step()
        event.record()
    torch.cuda.synchronize()
    return statistics.median(first.elapsed_time(second) for first, second in pairwise(events))


def matmul_ceiling(device: str) -> float:
    """Return the operations a second of a large product in bfloat16, of numbers that were drawn."""
    import torch

    side = 8192 if device == "cuda" else 128
    first, second = (torch.randn(side, side, device=device).to(torch.bfloat16) for _ in range(2))
    return 2 * side**3 / (time_steps(lambda: torch.mm(first, second), device, warm_up=3, count=10) / 1000)


def planned(size: str, tuned: Tuned, turns: int, *, checkpointing: bool) -> tuple[Any, Any, Any] | None:
    """Return architecture, batch and tuning for `qvl.planning`; None where that package is not there."""
    if importlib.util.find_spec("qvl.planning") is None:
        return None
    from qvl.planning import Architecture, Batch, Tuning

    shape = SHAPES[size]
    return (
        Architecture.from_config(model_config(size).to_dict()),
        Batch.of(turns, tokens=shape.tokens, visual=shape.visual, labelled=shape.answer + 1),
        Tuning(
            llm="lora" if tuned.stage == 2 else "frozen",
            adapter_weights=tuned.adapter_weights,
            checkpointing=checkpointing,
        ),
    )


def free_memory() -> None:
    """Give memory of models that are gone back to the device, and forget its peak."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def facts() -> dict[str, object]:
    """Return what figures depend on."""
    import platform

    import torch
    import transformers

    gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if gpu else platform.processor() or "CPU",
        "gpus": torch.cuda.device_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
    }


def finish(name: str, rows: Sequence[Mapping[str, object]], chosen: argparse.Namespace, **more: object) -> None:
    """Print rows as a Markdown table and write them as JSON; `missing` among the rest is what was not measured."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_cell(row.get(column)) for column in columns)} |" for row in rows]
    sys.stdout.write(f"\n## {name}\n\n" + "\n".join(lines) + "\n")
    for key, value in more.items():
        sys.stdout.write(f"{key}: {_cell(value)}\n")
    sys.stdout.write(f"written to {keep(name, rows, chosen, **more)}\n")


def keep(name: str, rows: Sequence[Mapping[str, object]], chosen: argparse.Namespace, **more: object) -> Path:
    """Write rows as JSON and return the path; a script that is ended early has left what it had."""
    chosen.out.mkdir(parents=True, exist_ok=True)
    path: Path = chosen.out / f"{name}.json"
    path.write_text(json.dumps({**facts(), **more, "rows": rows}, indent=1) + "\n")
    return path


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "nothing"
    return "-" if value is None else str(value)
