"""How a run begins and ends: what trains on what, then scores before and after, and the commands that come next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from qvl.metrics import HEADLINE, label_of
from qvl.planning import Memory
from qvl.runtime.part import holds_part
from qvl.training.job import TrainingJob, TrainingResult
from qvl.training.precision import Precision
from qvl.training.run_plan import RunPlan
from qvl.training.sharding import whole_size

if TYPE_CHECKING:
    from torch import nn

__all__ = ["RunStart", "adapted_share", "device_name", "run_start", "show_result", "show_start"]


@dataclass(frozen=True, slots=True)
class RunStart:
    """What a run trains, known before its first step.

    Attributes:
        model: Where the weights come from.
        attention: Implementation of attention.
        parameters: Numbers in the model, adapters included.
        trained: Numbers of them that the optimiser changes.
        adapted: Share, 0 to 1, of the weights of the model that adapters stand beside; None without adapters.
        precision: Types of the numbers.
        memory: Bytes on one device by a plan of the run; None where there is none.
        checkpointing: Whether activations are computed twice.
        device: Of the first process.
        processes: How many train together.
        rows: Rows in use of each source.
        turns: User turns of one epoch.
        effective_batch: User turns of one optimiser step.
        accumulation: Micro steps of one optimiser step.
        steps: Optimiser steps of the run.
    """

    model: str
    attention: str
    parameters: int
    trained: int
    adapted: float | None
    precision: Precision
    memory: Memory | None
    checkpointing: bool
    device: str
    processes: int
    rows: Mapping[str, int]
    turns: int
    effective_batch: int
    accumulation: int
    steps: int

    def as_dict(self) -> dict[str, object]:
        """Return the values for a JSON file."""
        return asdict(self)


def run_start(trainer: Any, job: TrainingJob, plan: RunPlan | None) -> RunStart:
    """Return what is known of a run before its first step.

    Args:
        trainer: Ready to train.
        job: What trains on what.
        plan: Of the run.
    """
    values, batches, args = list(trainer.model.parameters()), trainer.batches, trainer.args
    model = job.contract.base_model if job.contract else job.model["path"]
    return RunStart(
        model=f"{model} with the weights of {job.part}" if job.part else model,
        attention=trainer.model.config._attn_implementation,
        parameters=sum(map(whole_size, values)),
        trained=sum(whole_size(value) for value in values if value.requires_grad),
        adapted=adapted_share(trainer.model),
        precision=trainer.weights.precision(products="bfloat16" if args.bf16 else "float32"),
        memory=None if plan is None else plan.memory(checkpointing=args.gradient_checkpointing),
        checkpointing=args.gradient_checkpointing,
        device=device_name(),
        processes=batches.machine.world_size,
        rows={part.name: len(part.rows) for part in job.train.parts},
        turns=sum(job.train.turns_of_parts()),
        effective_batch=batches.batch_size * batches.machine.world_size * batches.accumulation,
        accumulation=batches.accumulation,
        steps=batches.total_steps,
    )


def device_name() -> str:
    """Return the name of the device of this process."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def adapted_share(model: nn.Module) -> float | None:
    """Return the share of the weights of a model that adapters stand beside; None if there are no adapters."""
    from peft.tuners.lora import ParamWrapper
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    if not layers:
        return None
    adapted = [
        layer.get_param() if isinstance(layer, ParamWrapper) else layer.get_base_layer().weight for layer in layers
    ]
    own = ("lora_", "modules_to_save")
    whole = [value for name, value in model.named_parameters() if not any(part in name for part in own)]
    return sum(map(whole_size, adapted)) / sum(map(whole_size, whole))


def show_start(start: RunStart, *, folder: Path, console: Console) -> None:
    """Print what a run trains on what.

    Args:
        start: What is known of it.
        folder: Of the run.
        console: Where it is printed.
    """
    numbers = start.precision
    share = f" ({100 * start.trained / start.parameters:.3g} %)"
    rows = {
        "model": f"{start.model}, {_count(start.parameters)} parameters, attention {start.attention}",
        "trained": f"{_count(start.trained)} parameters{share}"
        + (f", adapters beside {100 * start.adapted:.3g} % of the weights" if start.adapted is not None else ""),
        "numbers": f"trained {numbers.trained}, optimizer {numbers.optimizer}, frozen weights {numbers.weights}, "
        f"products {numbers.products}, saved {numbers.saved}",
        "memory": _memory(start),
        "device": f"{start.device}, {start.processes} process{'es' if start.processes > 1 else ''}",
        "rows": ", ".join(f"{name} {count}" for name, count in start.rows.items()) + f"; {start.turns} turns an epoch",
        "steps": f"{start.steps} of {start.effective_batch} turns, {start.accumulation} micro steps each",
        "run folder": str(folder),
    }
    table = Table(title="training", show_header=False)
    for name, text in rows.items():
        table.add_row(name, text)
    console.print(table)


def _memory(start: RunStart) -> str:
    """Return what a device has to hold; a model of unknown shape has no such figures."""
    kept = "activations computed twice" if start.checkpointing else "activations kept"
    if start.memory is None:
        return kept
    there, most = start.memory.resident / 1e9, start.memory.peak / 1e9
    return f"{there:.3g} GB of weights, gradients and optimizer, {most:.3g} GB at the most; {kept}"


def _count(number: int) -> str:
    """Return a number of parameters in the unit that people use."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def show_result(folder: Path, result: TrainingResult, *, console: Console) -> None:
    """Print the scores of a run as a table, and what to do next.

    Args:
        folder: Of the run.
        result: What it left behind.
        console: Where it is printed.
    """
    table = Table(title=f"held-out scores after {result.global_step} steps")
    for column in ("", "before", "after"):
        table.add_column(column, justify="left" if not column else "right")
    for name in HEADLINE:
        values = [metrics.get(name) for metrics in (result.before, result.after)]
        if name == "loss" or any(value is not None for value in values):  # chat has no answers to score
            table.add_row(label_of(name), *("-" if value is None else f"{value:.3f}" for value in values))
    console.print(table)
    if result.speed:
        console.print(f"speed        {_told_speed(result.speed)}", soft_wrap=True)
    console.print(f"run folder   {folder}", soft_wrap=True)
    checkpoint = result.best_checkpoint or result.checkpoint
    console.print(f"checkpoint   {checkpoint or 'none was saved'}", soft_wrap=True)
    if checkpoint and holds_part(Path(checkpoint)):
        console.print(f"whole model  python -m qvl.export checkpoint={checkpoint} out=FOLDER", soft_wrap=True)
    predictions = folder / "predictions_after.jsonl"
    if predictions.exists():
        console.print(f"look at it   python -m qvl.visualize predictions={predictions}", soft_wrap=True)
        console.print(f"how sure     python -m qvl.evaluate predictions={predictions}", soft_wrap=True)


def _told_speed(speed: Mapping[str, float]) -> str:
    """Return the figures of a run in one line; those that are not known are left out."""
    forms = {
        "samples_per_second": "{:.3g} samples/s",
        "tokens_per_second": "{:,.0f} tokens/s",
        "useful_share": "{:.1%} of what is computed is useful",
        "data_wait_share": "{:.1%} waits for data",
        "mfu": "MFU {:.1%}",
        "peak_memory_gb": "{:.1f} GB at most",
    }
    return ", ".join(form.format(speed[name]) for name, form in forms.items() if name in speed)
