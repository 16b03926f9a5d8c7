from __future__ import annotations

import runpy
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.data.batching import BatchPlan, num_batches, padding_share, plan_batches, useful_share

PADDING = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "padding.py"))
MODES = ("random", "exact", "grouped")


def plan(lengths: Any, seed: int = 0, **changes: Any) -> BatchPlan:
    given_last = {"batching": "random", "batch_size": 1, "world_size": 1, "accumulation": 1, **changes}
    return plan_batches(np.asarray(lengths), rng=np.random.default_rng(seed), **given_last)


def trained(plan: BatchPlan) -> np.ndarray:
    """Return the turns that are supervised, in the order of the plan."""
    return plan.turns[(plan.turns >= 0) & ~plan.filler]


def optimiser_steps(plan: BatchPlan, accumulation: int) -> list[set[int]]:
    micro_steps = [set(trained(BatchPlan(*step)).tolist()) for step in zip(plan.turns, plan.filler, strict=True)]
    starts = range(0, len(micro_steps), accumulation)
    return [set().union(*micro_steps[start : start + accumulation]) for start in starts]


def step_lengths(plan: BatchPlan, lengths: np.ndarray) -> np.ndarray:
    """Return the padded tokens of the slowest process of each micro step, computed batch by batch."""
    ranks = [list(plan.batches(rank)) for rank in range(plan.turns.shape[1])]
    return np.array(
        [max(len(b) * max(lengths[turn] for turn, _ in b) for b in step) for step in zip(*ranks, strict=True)]
    )


def drift(values: np.ndarray) -> float:
    """Return the lag-1 autocorrelation."""
    return float(np.corrcoef(values[:-1], values[1:])[0, 1])


@st.composite
def epochs(draw: st.DrawFn) -> dict[str, Any]:
    turns = st.tuples(st.integers(1, 50), st.integers(0, 2))
    drawn = draw(st.lists(turns, max_size=90) | st.lists(turns, min_size=30, max_size=90))
    lengths, kinds = np.array(drawn, dtype=np.int64).reshape(-1, 2).T
    sizes = {"batch_size": st.integers(1, 4), "world_size": st.integers(1, 8), "accumulation": st.integers(1, 4)}
    return {
        "lengths": lengths,
        "kinds": kinds if draw(st.booleans()) else None,
        "seed": draw(st.integers(0, 3)),
        **{name: draw(size) for name, size in sizes.items()},
    }


def kinds_of(epoch: dict[str, Any]) -> np.ndarray:
    return np.zeros(len(epoch["lengths"]), dtype=np.int64) if epoch["kinds"] is None else epoch["kinds"]


@pytest.mark.parametrize("batching", MODES)
@given(epoch=epochs())
def test_every_turn_is_trained_on_once_and_no_process_is_ever_without_a_batch(batching, epoch):
    made = plan(**epoch, batching=batching)
    kinds = kinds_of(epoch)
    assert sorted(trained(made)) == list(range(len(kinds)))
    counts = np.bincount(kinds, minlength=3)
    assert len(made) == num_batches(counts.tolist(), batch_size=epoch["batch_size"], world_size=epoch["world_size"])
    ranks = [list(made.batches(rank)) for rank in range(epoch["world_size"])]
    assert all(1 <= len(batch) <= epoch["batch_size"] for batches in ranks for batch in batches)
    for step in zip(*ranks, strict=True):
        real = {turn for batch in step for turn, filler in batch if not filler}
        assert {turn for batch in step for turn, filler in batch if filler} <= real
        assert len({kinds[turn] for turn in real}) == 1
    seen = Counter(pair for batches in ranks for batch in batches for pair in batch)
    fillers = [turn for turn, filler in seen.elements() if filler]
    assert all(count < epoch["world_size"] for count in Counter(kinds[fillers].tolist()).values())
    assert sum(seen.values()) == len(kinds) + len(fillers)


@given(epochs(), st.sampled_from(MODES))
def test_the_same_inputs_make_the_same_plan(epoch, batching):
    one, two = plan(**epoch, batching=batching), plan(**epoch, batching=batching)
    assert np.array_equal(one.turns, two.turns)
    assert np.array_equal(one.filler, two.filler)


@given(epochs())
def test_exact_keeps_the_turns_of_every_optimiser_step(epoch):
    random, exact = (optimiser_steps(plan(**epoch, batching=mode), epoch["accumulation"]) for mode in MODES[:2])
    assert exact == random


@given(epochs(), st.sampled_from(MODES[:2]))
def test_optimiser_steps_of_one_kind_are_the_turns_as_they_come_on_any_world_size(epoch, batching):
    made = plan(**epoch | {"kinds": None}, batching=batching)
    size = epoch["batch_size"] * epoch["world_size"] * epoch["accumulation"]
    turns = range(len(epoch["lengths"]))
    steps = [set(turns[start : start + size]) for start in range(0, len(turns), size)]
    assert optimiser_steps(made, epoch["accumulation"]) == steps


@given(epochs())
def test_fillers_of_one_kind_are_as_few_as_the_last_optimiser_step_allows(epoch):
    made = plan(**epoch | {"kinds": None})
    in_last = (len(made) - 1) % epoch["accumulation"] + 1
    last = len(epoch["lengths"]) % (epoch["batch_size"] * epoch["world_size"] * epoch["accumulation"])
    assert made.filler.sum() == (max(0, in_last * epoch["world_size"] - last) if last else 0)


@pytest.mark.parametrize(
    ("sizes", "turns"),
    [
        ({"batch_size": 2}, [[[0, 2], [1, 3]], [[4, 6], [5, 7]], [[8, -1], [9, -1]]]),
        ({"batch_size": 4}, [[[0, 2, 4, 6], [1, 3, 5, 7]], [[8, -1, -1, -1], [9, -1, -1, -1]]]),
        ({"batch_size": 3, "world_size": 3}, [[[0, 3, 6], [1, 4, 7], [2, 5, 8]], [[9, -1, -1]] * 3]),  # two are fillers
        (
            {"batch_size": 3, "world_size": 3, "accumulation": 2},  # the first step lends the second two turns
            [[[0, 3, 6], [1, 4, -1], [2, 5, -1]], [[7, -1, -1], [8, -1, -1], [9, -1, -1]]],
        ),
    ],
)
def test_random_gives_the_processes_the_next_turns_in_rotation(sizes, turns):
    made = plan(np.ones(10), **{"world_size": 2, **sizes})
    assert made.turns.tolist() == turns
    assert made.filler.sum() == sum(count - 1 for count in Counter(made.turns[made.turns >= 0].tolist()).values())


@pytest.mark.parametrize(
    ("sizes", "turns"),
    [
        # the order of the processes turns round within an optimiser step
        ({"world_size": 2, "accumulation": 4}, [[[7], [6]], [[4], [5]], [[3], [2]], [[0], [1]]]),
        # and begins with the next one in the next
        ({"world_size": 2, "accumulation": 1}, [[[1], [0]], [[2], [3]], [[5], [4]], [[6], [7]]]),
        ({"world_size": 2, "batch_size": 2, "accumulation": 2}, [[[7, 6], [5, 4]], [[1, 0], [3, 2]]]),
        # the shortest turn is the filler; where there are too few turns, the longest stand alone
        ({"world_size": 3, "accumulation": 3}, [[[7], [6], [5]], [[2], [3], [4]], [[0], [1], [0]]]),
        ({"world_size": 5, "batch_size": 2}, [[[7, -1], [6, -1], [5, 4], [3, 2], [1, 0]]]),
    ],
)
def test_exact_deals_the_longest_turns_first(sizes, turns):
    assert plan([1, 2, 3, 4, 5, 6, 7, 8], batching="exact", **sizes).turns.tolist() == turns


def test_a_step_of_one_kind_stands_where_its_middle_turn_came():
    kinds = np.array([0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0])
    made = plan(np.ones(11), batch_size=3, kinds=kinds)
    assert made.turns.tolist() == [[[0, 2, 3]], [[1, 5, 9]], [[4, 6, 7]], [[8, 10, -1]]]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=60), st.integers(1, 3), st.integers(1, 3))
def test_a_grouped_epoch_that_fits_one_megabatch_is_cut_from_one_sorted_row(lengths, batch_size, world_size):
    made = plan(lengths, batching="grouped", batch_size=batch_size, world_size=world_size)
    spans = sorted((min(of), max(of)) for of in (np.array(lengths)[step[step >= 0]] for step in made.turns))
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_an_epoch_without_turns_has_no_steps():
    for mode in MODES:
        made = plan([], batching=mode, batch_size=2, world_size=4)
        assert len(made) == 0
        assert list(made.batches(3)) == []
        assert (useful_share(made, np.array([])), padding_share(made, np.array([]))) == (1.0, 0.0)


def test_shares_are_counted_by_hand():
    made = BatchPlan(
        np.array([[[0, 1], [2, -1]], [[3, -1], [3, -1]]]), np.array([[[False] * 2] * 2, [[False] * 2, [True, False]]])
    )
    lengths = np.array([10, 6, 8, 4])  # padded: 20 and 8, then 4 and 4; slowest: 20, then 4
    assert useful_share(made, lengths) == pytest.approx(28 / (2 * 24))
    assert padding_share(made, lengths) == pytest.approx(1 - 28 / 36)


@pytest.mark.parametrize("batch_size", [1, 2, 4, 8])
@pytest.mark.parametrize("profile", ["dense", "coco", "fusion"])
def test_eight_processes_stay_busy_when_batches_are_grouped(profile, batch_size):
    lengths, kinds = PADDING["draw_turns"](profile)
    share = {
        mode: useful_share(plan(lengths, batching=mode, batch_size=batch_size, world_size=8, kinds=kinds), lengths)
        for mode in ("random", "grouped")
    }
    assert 0.33 <= share["random"] <= 0.60
    assert share["grouped"] >= 0.99
    assert useful_share(PADDING["estimated"](lengths, kinds, batch_size), lengths) >= 0.98


def test_the_dense_profile_is_the_measured_one():
    lengths, _ = PADDING["draw_turns"]("dense")
    assert lengths.mean() == pytest.approx(1725, rel=0.03)
    assert np.percentile(lengths, [5, 50, 95, 99]) == pytest.approx([864, 1597, 3029, 4422], rel=0.03)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("num_turns", "world_size"), [(400, 1), (3_200, 8), (40_000, 8)])
def test_grouped_steps_do_not_drift_in_length(num_turns, world_size, seed):
    lengths, kinds = PADDING["draw_turns"]("fusion", num_turns)
    made = plan(lengths, seed, batching="grouped", world_size=world_size, kinds=kinds)
    assert len(made) >= 400
    assert abs(drift(step_lengths(made, lengths))) <= 0.05


@pytest.mark.parametrize("accumulation", [1, 2, 3, 8])
def test_exact_gives_every_process_the_same_work_over_an_epoch(accumulation):
    lengths, _ = PADDING["draw_turns"]("dense")
    made = plan(lengths, batching="exact", batch_size=2, world_size=8, accumulation=accumulation)
    tokens = np.where(made.turns >= 0, lengths[made.turns], 0).sum(axis=(0, 2))
    assert tokens.max() / tokens.mean() < 1.01


def test_a_million_turns_are_planned_in_seconds():
    lengths, kinds = PADDING["draw_turns"]("fusion", 1_000_000)
    start = time.process_time()
    made = plan(lengths, batching="grouped", batch_size=2, world_size=8, accumulation=4, kinds=kinds)
    assert time.process_time() - start < 5.0
    assert np.array_equal(np.sort(trained(made)), np.arange(1_000_000))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batching": "packed"}, "batching must be one of random, exact, grouped, got 'packed'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"world_size": -1}, "world_size must be at least 1, got -1"),
        ({"accumulation": 0}, "accumulation must be at least 1, got 0"),
        ({"kinds": np.zeros(2, dtype=int)}, r"same shape \(N,\), got \(3,\) and \(2,\)"),
        ({"kinds": np.array([0, -1, 0])}, "kinds are numbers from 0 up, got -1"),
    ],
)
def test_impossible_arguments_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        plan([1, 2, 3], **changes)


def test_packing_puts_each_turn_into_the_fullest_bin_with_room():
    assert sorted(PADDING["best_fit_decreasing"](np.array([6, 5, 4, 3, 2]), 10)) == [10, 10]
    assert sorted(PADDING["best_fit_decreasing"](np.array([7, 6, 3]), 10)) == [6, 10]
