"""Means, spreads and comparisons of runs."""

from __future__ import annotations

import math
import statistics
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qvl.sweep import Run, best_run, find_effect, repeats, summarize

FINITE = st.floats(-1e100, 1e100)
SCORES = st.floats(-1e3, 1e3)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={"lr": st.sampled_from(["1e-4", "1e-3", "0.001"]), "tuner": st.sampled_from("ab"), "seed": st.just("1")},
)
RUNS = st.lists(st.builds(Run, name=st.text(max_size=3), settings=SETTINGS, score=SCORES), max_size=12)


def run(score: float, **settings: str) -> Run:
    return Run("job", settings, score)


@given(st.lists(FINITE, min_size=1))
def test_a_mean_lies_between_the_extremes_and_a_spread_is_finite(values: list[float]) -> None:
    found = summarize(values)
    assert found.count == len(values)
    assert min(values) == found.low <= found.mean <= found.high == max(values)
    assert (found.std is None) == (len(values) == 1)
    assert found.std is None or (math.isfinite(found.std) and found.std >= 0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_spread_is_that_of_the_standard_library(values: list[float]) -> None:
    assert summarize(values).std == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-6)


@given(st.lists(SCORES, min_size=1), st.randoms())
def test_the_order_of_values_does_not_matter(values: list[float], rng: object) -> None:
    shuffled = sorted(values, key=lambda _: rng.random())  # type: ignore[attr-defined]
    assert summarize(shuffled) == summarize(values)


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="values is empty"):
        summarize([])


@given(RUNS, st.booleans())
def test_no_run_is_better_than_the_best(runs: list[Run], higher: bool) -> None:
    best = best_run(runs, higher_is_better=higher)
    assert (best is None) == (not runs)
    if best is not None:
        assert not any(run.score > best.score if higher else run.score < best.score for run in runs)
        assert best is next(run for run in runs if run.score == best.score), "the first of equals"


@given(RUNS, st.booleans())
def test_every_run_is_at_one_level_of_a_key(runs: list[Run], higher: bool) -> None:
    effect = find_effect("lr", runs, higher_is_better=higher)
    assert sorted(id(run) for level in effect.levels for run in level.runs) == sorted(map(id, runs))
    assert sum(level.summary.count for level in effect.levels) == len(runs)
    values = [level.value for level in effect.levels]
    assert values[1:].count(None) == 0, "runs without the key come first"
    assert len(values) <= 3, "0.001 and 1e-3 are one value"


@given(RUNS)
def test_changes_turn_their_sign_with_the_scores_and_count_the_same(runs: list[Run]) -> None:
    mirrored = [Run(run.name, run.settings, -run.score) for run in runs]
    up = find_effect("lr", runs, higher_is_better=True)
    down = find_effect("lr", mirrored, higher_is_better=False)
    for one, other in zip(up.levels, down.levels, strict=True):
        assert (one.change is None) == (other.change is None)
        if one.change and other.change:
            assert one.change.num_better == other.change.num_better <= one.change.pairs
            assert one.change.mean == pytest.approx(-other.change.mean, abs=1e-9)


@given(RUNS)
def test_repeats_hold_every_run_once(runs: list[Run]) -> None:
    found = repeats(runs)
    assert sum(summary.count for _, summary in found.groups) == len(runs)
    assert (found.std is None) == (found.num_repeated == 0)


def test_the_first_level_has_no_change_and_a_lone_value_makes_no_pair() -> None:
    runs = [run(0.1, lr="1", seed="1"), run(0.5, lr="2", seed="2")]
    first, second = find_effect("lr", runs, higher_is_better=True).levels
    assert first.change is None
    assert second.change is None, "another seed is no pair"


def test_pairs_tell_the_effect_where_means_over_unequal_runs_do_not() -> None:
    # tuner=b was only tried with the bad rate; it is better by 0.1 all the same
    runs = [run(0.2, tuner="a", lr="1"), run(0.9, tuner="a", lr="2"), run(0.3, tuner="b", lr="1")]
    a, b = find_effect("tuner", runs, higher_is_better=True).levels
    assert a.summary.mean > b.summary.mean
    assert b.change is not None
    assert (b.change.pairs, b.change.num_better) == (1, 1)
    assert b.change.mean == pytest.approx(0.1)


def test_numbers_are_ordered_by_size_and_words_as_they_came() -> None:
    rates = [run(0.1, lr=value) for value in ("1e-3", "5", "1e-5", "-2")]
    words = [run(0.1, lr=value) for value in ("none", "3", "full")]
    effect = find_effect("lr", rates, higher_is_better=True)
    assert ([level.value for level in effect.levels], effect.is_numeric) == (["-2", "1e-5", "1e-3", "5"], True)
    effect = find_effect("lr", words, higher_is_better=True)
    assert ([level.value for level in effect.levels], effect.is_numeric) == (["none", "3", "full"], False)


def test_the_spread_over_seeds_leaves_out_what_other_keys_do() -> None:
    noise = {"1": -0.01, "2": 0.01}
    runs = [run(base + noise[seed], lr=str(base), seed=seed) for base, seed in product((0.2, 0.8), noise)]
    found = repeats(runs)
    assert found.num_repeated == 2
    assert found.std == pytest.approx(math.sqrt(2) * 0.01)
