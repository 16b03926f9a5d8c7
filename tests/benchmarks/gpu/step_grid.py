"""What a training step costs: `python tests/benchmarks/gpu/step_grid.py [--device cpu --size tiny]`.

2B and 4B shapes with random weights, both stages, 2,048 tokens a turn (1,008 of a picture), through qvl's own
freezing, precision and cut of the frozen vision encoder; with and without checkpointing and that cut; batches of 1, 2,
4 and 8; sdpa. Times are CUDA events, memory is the peak of torch's allocator. MFU is the operations that the model
needs, nothing recomputed, over the time and a measured product of two large matrices. Aim: 50 % for 4B, stage 2, a
batch of 4, without checkpointing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from real_shapes import (
    Tuned,
    build_model,
    finish,
    free_memory,
    keep,
    make_batch,
    matmul_ceiling,
    mode,
    parse,
    planned,
    time_steps,
    train_step,
    tune,
)

# (turns, checkpointing, encoder cut off), the most important first
CELLS = [
    (4, False, True),
    (4, True, True),
    (4, True, False),
    (1, False, True),
    (2, False, True),
    (8, False, True),
    (8, True, True),
    (1, True, True),
]
TINY_CELLS = [(1, False, True), (2, True, True), (2, True, False)]


def main() -> None:
    chosen = parse(__doc__)
    warm_up, count = (3, 8) if chosen.device == "cuda" else (1, 2)
    ceiling = matmul_ceiling(chosen.device)
    rows: list[dict[str, object]] = []
    missing: list[str] = []
    for size in chosen.sizes:
        cells = TINY_CELLS if size == "tiny" else CELLS
        for stage in (2, 1):
            if time.monotonic() > chosen.until:
                missing += [f"{size} stage {stage} {cell}" for cell in cells]
                continue
            tuned = tune(build_model(size, chosen.device), stage)
            for cell in cells:
                if time.monotonic() > chosen.until:
                    missing.append(f"{size} stage {stage} {cell}")
                    continue
                rows.append(measure(size, tuned, cell, chosen.device, ceiling=ceiling, warm_up=warm_up, count=count))
                keep("step_grid", rows, chosen)
            del tuned
            free_memory()
    if not any(row["mfu"] for row in rows):
        missing.append("MFU: there is no qvl.planning")
    finish("step_grid", rows, chosen, ceiling_tflops=ceiling / 1e12, missing=missing, verdict=verdict(rows))


def measure(
    size: str, tuned: Tuned, cell: tuple[int, bool, bool], device: str, *, ceiling: float, warm_up: int, count: int
) -> dict[str, object]:
    import torch

    turns, checkpointing, cut = cell
    free_memory()
    row: dict[str, object] = {"size": size, "stage": tuned.stage, "turns": turns, "recompute": checkpointing}
    row |= {"encoder_cut": cut, "ms": None, "samples_s": None, "peak_gib": None, "mfu": None}
    batch = make_batch(size, turns, device)
    try:
        with mode(tuned, checkpointing=checkpointing, cut=cut):
            milliseconds = time_steps(lambda: train_step(tuned, size, batch), device, warm_up=warm_up, count=count)
    except torch.OutOfMemoryError:
        tuned.optimizer.zero_grad(set_to_none=True)
        return row | {"ms": "out of memory"}
    memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else None
    row |= {"ms": milliseconds, "samples_s": 1000 * turns / milliseconds, "peak_gib": memory}
    if plan := planned(size, tuned, turns, checkpointing=checkpointing):
        from qvl.planning import step_flops

        row["mfu"] = step_flops(*plan).model / (milliseconds / 1000) / ceiling
    return row


def verdict(rows: list[dict[str, object]]) -> str:
    """Compare the cell of the aim with it."""
    aim = {"size": "4b", "stage": 2, "turns": 4, "recompute": False, "encoder_cut": True}
    found: list[Mapping[str, Any]] = [row for row in rows if all(row[key] == value for key, value in aim.items())]
    if not found or not isinstance(found[0]["mfu"], float):
        return "the cell of the aim has no MFU"
    return f"MFU {found[0]['mfu']:.0%}, aim 50 %"


if __name__ == "__main__":
    main()
