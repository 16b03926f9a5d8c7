"""A plan as it is printed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.table import Table

from qvl.planning import Memory
from qvl.training.run_plan import RunPlan

__all__ = ["render_plan"]

_NAMES = {"llm": "language model", "head": "head", "vit": "vision tower", "aligner": "aligner", "adapters": "adapters"}


def render_plan(plan: RunPlan, *, notes: list[str]) -> Group:
    """Return what `debug=plan` prints.

    Args:
        plan: What was found.
        notes: Sentences on what is assumed.
    """
    said = Table.grid(padding=(0, 2))
    for word, text in (*(("note", note) for note in notes), ("advice", plan.advice)):
        said.add_row(word, text)
    return Group(_overview(plan), _memory(plan), said)


def _overview(plan: RunPlan) -> Table:
    table = Table(title=f"{plan.config['run_name']}: {plan.config['model']['path']}", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for row in (*_model_rows(plan), *_load_rows(plan), *_disk_rows(plan)):
        table.add_row(*row)
    return table


def _model_rows(plan: RunPlan) -> Iterator[tuple[str, str]]:
    model, setting = plan.model, plan.setting
    parts = ", ".join(f"{_NAMES[name]} {_count(count)}" for name, count in model.architecture.parts.items() if count)
    yield "weights", f"{_count(model.architecture.parameters)} in {plan.config['model']['torch_dtype']}: {parts}"
    trained = ", ".join(f"{_NAMES[name]} {_count(count)}" for name, count in model.trained_by_part.items())
    share = model.weights.trained / model.architecture.parameters
    yield "trained", f"{_count(model.weights.trained)} in float32, {share:.2%}: {trained}"
    ways = {0: "without DeepSpeed", 1: "optimiser sharded (ZeRO 1)", 2: "optimiser and gradients sharded (ZeRO 2)"}
    yield "devices", f"{plan.device.processes}, {ways.get(setting.zero, 'weights sharded too (ZeRO 3)')}"


def _load_rows(plan: RunPlan) -> Iterator[tuple[str, str]]:
    load, training = plan.load, plan.config["training"]
    yield "data", f"{load.turns:,} turns an epoch, {load.tokens:,} tokens; longest turn {load.longest:,} tokens"
    epochs = load.steps / load.steps_per_epoch
    yield "steps", f"{load.steps:,} of {training['effective_batch_size']} turns each, {epochs:.3g} epochs"
    batching = plan.config["data"]["batching"]
    yield "useful", f"{load.useful:.1%} of the work is on real tokens, the rest padding and waiting ({batching})"
    flops = plan.step_flops(checkpointing=plan.checkpointing)
    tokens = load.tokens / load.steps_per_epoch
    yield "one step", f"{tokens:,.0f} tokens, {flops / 1e12:,.4g} TFLOP over all devices"
    speed = f"{plan.device.mfu:.0%} of {plan.device.tflops:g} TFLOP/s"
    yield "time", f"{_hours(plan.hours(checkpointing=plan.checkpointing))} at {speed}, without scoring and saving"


def _disk_rows(plan: RunPlan) -> Iterator[tuple[str, str]]:
    weights, whole = plan.checkpoint_bytes
    save_whole = bool(plan.config["training"]["save_whole_model"])
    kind = (
        "adapter" if plan.model.is_adapter else "part" if plan.model.is_part(save_whole=save_whole) else "whole model"
    )
    yield "checkpoint", f"{_bytes(whole)}, of which {kind} {_bytes(weights)}"
    count = plan.num_checkpoints
    yield "disk", f"{_bytes(whole * count)} at most, for {count} checkpoint{'' if count == 1 else 's'} at a time"


def _memory(plan: RunPlan) -> Table:
    """Return memory by part, without and with checkpointing; what is not there at the peak stands in brackets."""
    table = Table(title=f"memory of one device for the largest batch; {_bytes(plan.device.memory)} are there")
    table.add_column("")
    both = {value: plan.memory(checkpointing=value) for value in (False, True)}
    for value, words in ((False, "activations kept"), (True, "computed twice")):
        table.add_column(f"{words}{' (as set)' if value == plan.checkpointing else ''}", justify="right")
    for name, words in _ROWS:
        table.add_row(words, *(_bytes(getattr(memory, name)) for memory in both.values()))
    table.add_section()
    table.add_row("peak of all tensors", *(_bytes(memory.peak) for memory in both.values()))
    table.add_row("asks for, CUDA included", *(_bytes(memory.needed) for memory in both.values()))
    table.add_row(f"fits into {_bytes(plan.device.memory)}", *(_fits(plan, memory) for memory in both.values()))
    return table


_ROWS = (
    ("weights", "weights"),
    ("optimizer", "gradients and optimiser"),
    ("layers", "activations of the layers"),
    ("aligner", "activations of the aligner"),
    ("logits", "logits at the loss"),
    ("working", "or instead: the layer at work"),
    ("vision", "or before: the vision tower"),
)


def _fits(plan: RunPlan, memory: Memory) -> str:
    free = plan.device.memory - memory.needed
    return f"yes, {_bytes(free)} spare" if free >= 0 else f"no, {_bytes(-free)} short"


def _count(number: float) -> str:
    for size, sign in ((1e9, " B"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.2f}{sign}"
    return f"{number:.0f}"


def _bytes(number: float) -> str:
    for size, sign in ((1e9, "GB"), (1e6, "MB")):
        if number >= size:
            return f"{number / size:.1f} {sign}"
    return f"{number / 1e3:.0f} kB"


def _hours(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"
