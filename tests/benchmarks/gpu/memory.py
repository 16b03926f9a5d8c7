"""Memory of a training step against the plan: `python tests/benchmarks/gpu/memory.py [--device cpu --size tiny]`.

The same models as in `step_grid.py`. Weights, gradients and the optimiser's numbers are the bytes of their tensors;
the peaks of a forward pass and of a whole step are those of torch's allocator, on a GPU only. Where `qvl.planning` is
there, its peak and the ratio of the measured one to it stand beside. Aim: within 15 %.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable
from typing import Any

from real_shapes import (
    Tuned,
    build_model,
    finish,
    free_memory,
    keep,
    make_batch,
    mode,
    parse,
    planned,
    train_step,
    tune,
)

CELLS = [(4, False), (1, False), (4, True), (1, True)]  # (turns, checkpointing)


def main() -> None:
    chosen = parse(__doc__)
    rows: list[dict[str, object]] = []
    missing: list[str] = []
    for size in chosen.sizes:
        for stage in (2, 1):
            if time.monotonic() > chosen.until:
                missing.append(f"{size} stage {stage}")
                continue
            tuned = tune(build_model(size, chosen.device), stage)
            for cell in CELLS:
                if time.monotonic() > chosen.until:
                    missing.append(f"{size} stage {stage} {cell}")
                    continue
                rows.append(measure(size, tuned, cell, chosen.device))
                keep("memory", rows, chosen)
            del tuned
            free_memory()
    if chosen.device == "cpu":
        missing.append("peaks: they are those of a GPU")
    if importlib.util.find_spec("qvl.planning") is None:
        missing.append("the plan: there is no qvl.planning")
    finish("memory", rows, chosen, unit="GiB", missing=missing)


def measure(size: str, tuned: Tuned, cell: tuple[int, bool], device: str) -> dict[str, object]:
    import torch

    turns, checkpointing = cell
    batch = make_batch(size, turns, device)
    row: dict[str, object] = {"size": size, "stage": tuned.stage, "turns": turns, "recompute": checkpointing}
    try:
        with mode(tuned, checkpointing=checkpointing, cut=True):
            train_step(tuned, size, batch)  # the optimiser makes its numbers
            free_memory()
            resident = torch.cuda.memory_allocated() if device == "cuda" else None
            train_step(tuned, size, batch)
    except torch.OutOfMemoryError:
        tuned.optimizer.zero_grad(set_to_none=True)
        return row | {"peak": "out of memory"}
    trained = [value for value in tuned.model.parameters() if value.requires_grad]
    state = (value for entry in tuned.optimizer.state.values() for value in entry.values())
    row |= {"weights": _gib(tuned.model.parameters()), "gradients": _gib(trained), "optimizer": _gib(state)}
    peak = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    reserved = torch.cuda.max_memory_reserved() / 2**30 if device == "cuda" else None
    row |= {"between_steps": None if resident is None else resident / 2**30, "peak": peak, "reserved": reserved}
    plan = plan_of(size, tuned, turns, checkpointing=checkpointing, device=device)
    return row | {"planned": plan, "peak/planned": peak / plan if peak and plan else None}


def plan_of(size: str, tuned: Tuned, turns: int, *, checkpointing: bool, device: str) -> float | None:
    """Return the planned peak in GiB; None without a plan."""
    plan = planned(size, tuned, turns, checkpointing=checkpointing)
    if plan is None:
        return None
    from peft.tuners.lora import LoraLayer

    from qvl.planning import Setting, Weights, peak_memory

    values = list(tuned.model.parameters())
    adapted = [module for module in tuned.model.modules() if isinstance(module, LoraLayer)]
    weights = Weights(
        frozen=sum(value.numel() for value in values if not value.requires_grad),
        trained=tuned.trained,
        matrices=sum(value.numel() for value in values if value.requires_grad and value.dim() > 1),
    )
    setting = Setting(  # without padding there is no mask, and sdpa runs flash attention
        adapter_inputs=sum(layer.in_features for layer in adapted),
        dropout=tuned.tuner.get("lora_dropout") or 0.0,
        gpu=device == "cuda",
    )
    return peak_memory(*plan, weights, setting).peak / 2**30


def _gib(tensors: Iterable[Any]) -> float:
    return sum(value.numel() * value.element_size() for value in tensors) / 2**30


if __name__ == "__main__":
    main()
