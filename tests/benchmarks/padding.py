"""How much of 8 processes padded batches keep busy: `python tests/benchmarks/padding.py [result.json]`.

Simulated: 40,000 turns of each length profile, fixed seeds; processes meet after every micro step. `useful` is real
tokens / (8 x padded tokens of the slowest process), `padding` the share of computed tokens that are none. Packing is
best-fit decreasing over the whole epoch into bins of batch_size x the mean length, at least the longest turn.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qvl.data.batching import BatchPlan, padding_share, plan_batches, useful_share

NUM_TURNS = 40_000
WORLD_SIZE = 8
BATCH_SIZES = (1, 2, 4, 8)
SHORTEST, LONGEST = 32, 8192
LENGTH_ERROR = 0.005


class Component(NamedTuple):
    """One lognormal of a mix; kind 1 is text without pictures."""

    weight: float
    median: float
    sigma: float
    kind: int = 0


class Row(NamedTuple):
    """One cell of the table."""

    profile: str
    strategy: str
    batch_size: int
    useful: float
    padding: float
    to_packing: float


PROFILES = {
    # Two scenes a turn: mean 1,725 tokens, p5/p50/p95/p99 = 864/1597/3029/4422 in performance.md section 4.
    "dense": (Component(0.94, 1560, 0.355), Component(0.06, 2600, 0.5)),
    # 300 tokens of a 640 x 480 picture, 7 boxes of 40 tokens, some crowded pictures.
    "coco": (Component(0.85, 560, 0.32), Component(0.15, 900, 0.4)),
    # Half dense scenes, a quarter boxes, some one-line summaries of large pictures, a tenth chat without pictures.
    "fusion": (
        Component(0.5, 1590, 0.36),
        Component(0.25, 620, 0.38),
        Component(0.15, 1150, 0.15),
        Component(0.1, 330, 0.6, kind=1),
    ),
}


def draw_turns(profile: str, num_turns: int = NUM_TURNS, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) lengths in tokens and (N,) kinds."""
    rng = np.random.default_rng(seed)
    weight, median, sigma, kind = np.array(PROFILES[profile]).T
    part = rng.choice(len(weight), num_turns, p=weight)
    lengths = median[part] * np.exp(sigma[part] * rng.standard_normal(num_turns))
    return np.clip(np.rint(lengths), SHORTEST, LONGEST).astype(np.int64), kind[part].astype(np.int64)


def with_error(lengths: np.ndarray, seed: int = 5) -> np.ndarray:
    """Return estimates of lengths, normally distributed around them."""
    noise = np.random.default_rng(seed).standard_normal(len(lengths))
    return np.rint(lengths * (1.0 + LENGTH_ERROR * noise)).astype(np.int64)


def ours(lengths: np.ndarray, kinds: np.ndarray, batch_size: int, *, batching: str, accumulation: int = 1) -> BatchPlan:
    return plan_batches(
        lengths,
        batching=batching,
        batch_size=batch_size,
        world_size=WORLD_SIZE,
        accumulation=accumulation,
        rng=np.random.default_rng(0),
        kinds=kinds,
    )


def estimated(lengths: np.ndarray, kinds: np.ndarray, batch_size: int) -> BatchPlan:
    return ours(with_error(lengths), kinds, batch_size, batching="grouped")


def transformers_grouped(lengths: np.ndarray, kinds: np.ndarray, batch_size: int) -> BatchPlan:
    """Sort 50 batches together; batches go to the processes in turn. Kinds are not looked at."""
    return as_plan(lengths, 50 * batch_size, lambda turns: turns.reshape(-1, WORLD_SIZE, batch_size))


def swift_grouped(lengths: np.ndarray, kinds: np.ndarray, batch_size: int) -> BatchPlan:
    """Sort 50 global batches together; turns go to the processes in rotation. Kinds are not looked at."""
    full = WORLD_SIZE * batch_size
    return as_plan(lengths, 50 * full, lambda turns: turns.reshape(-1, batch_size, WORLD_SIZE).swapaxes(1, 2))


def as_plan(lengths: np.ndarray, megabatch: int, cut: Callable[[np.ndarray], np.ndarray]) -> BatchPlan:
    """Sort each megabatch of a shuffled epoch by length, the longest first, and cut the whole into steps."""
    shuffled = np.random.default_rng(1).permutation(len(lengths))
    parts = [shuffled[start : start + megabatch] for start in range(0, len(shuffled), megabatch)]
    turns = cut(np.concatenate([part[np.argsort(-lengths[part], kind="stable")] for part in parts]))
    return BatchPlan(turns, np.zeros(turns.shape, dtype=bool))


STRATEGIES = {
    "random": partial(ours, batching="random"),
    "exact, accumulation 2": partial(ours, batching="exact", accumulation=2),
    "exact, accumulation 8": partial(ours, batching="exact", accumulation=8),
    "Transformers group_by_length": transformers_grouped,
    "ms-swift group_by_length": swift_grouped,
    "grouped": partial(ours, batching="grouped"),
    f"grouped, lengths {LENGTH_ERROR:.1%} off": estimated,
}


def best_fit_decreasing(lengths: np.ndarray, capacity: int) -> np.ndarray:
    """Return the tokens of each bin; every turn goes into the fullest bin that has room for it."""
    room: list[int] = []
    for length in np.sort(lengths)[::-1].tolist():
        place = bisect_left(room, length)
        insort(room, (room.pop(place) if place < len(room) else capacity) - length)
    return capacity - np.array(room)


def packing(lengths: np.ndarray, batch_size: int) -> float:
    """Return the useful share of packed bins, dealt to the processes in random order."""
    capacity = max(round(batch_size * float(lengths.mean())), int(lengths.max()))
    bins = np.random.default_rng(0).permutation(best_fit_decreasing(lengths, capacity))
    steps = np.append(bins, np.zeros(-len(bins) % WORLD_SIZE, dtype=np.int64)).reshape(-1, WORLD_SIZE)
    return float(lengths.sum() / (WORLD_SIZE * steps.max(axis=1).sum()))


def measure() -> Iterator[Row]:
    for profile in PROFILES:
        lengths, kinds = draw_turns(profile)
        packed = {size: packing(lengths, size) for size in BATCH_SIZES}
        for strategy, plan_of in STRATEGIES.items():
            for size in BATCH_SIZES:
                plan = plan_of(lengths, kinds, size)
                useful = useful_share(plan, lengths)
                yield Row(profile, strategy, size, useful, padding_share(plan, lengths), useful / packed[size])
        for size in BATCH_SIZES:
            yield Row(profile, "packing", size, packed[size], 0.0, 1.0)


def markdown(rows: list[Row]) -> str:
    """Return a table with one line a strategy: useful / padding / ratio to packing for every batch size."""
    lines = ["| profile | strategy | " + " | ".join(f"b={size}" for size in BATCH_SIZES) + " |"]
    lines.append("|" + "---|" * (2 + len(BATCH_SIZES)))
    for start in range(0, len(rows), len(BATCH_SIZES)):
        cells = rows[start : start + len(BATCH_SIZES)]
        texts = [f"{cell.useful:.1%} / {cell.padding:.1%} / {cell.to_packing:.3f}" for cell in cells]
        lines.append(f"| {cells[0].profile} | {cells[0].strategy} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("multirun_outputs", "benchmarks", "padding.json")
    rows = list(measure())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"useful / padding / ratio to packing; {WORLD_SIZE} processes\n\n{markdown(rows)}")


if __name__ == "__main__":
    main()
