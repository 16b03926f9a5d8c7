"""Intervals hold the truth as often as they say, and chance alone makes no difference."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qvl.conversation import IRRELEVANT, SummaryWriter
from qvl.geometry import Box
from qvl.metrics import (
    THRESHOLDS,
    Answer,
    Comparison,
    Interval,
    Labelled,
    PictureCounts,
    ReportMetric,
    SummaryMetric,
    bootstrap_intervals,
    paired_comparison,
)

FIGURES = ["detection/f1_50", "detection/precision_50", "detection/recall_50", "detection/f1_50_95"]
SUMMARY_FIGURES = [f"summary/{name}" for name in ("f1", "precision", "recall", "exact_match", "same_facts", "readable")]
WRITER = SummaryWriter()


def counts(num_truth, num_predicted, num_matched) -> PictureCounts:
    """Return counts with as many pairs at every threshold."""
    columns = [np.array(column, dtype=np.intp) for column in (num_truth, num_predicted, num_matched)]
    return PictureCounts(columns[0], columns[1], np.repeat(columns[2][:, np.newaxis], len(THRESHOLDS), axis=1))


def simulated(rng, size, *, truth=None, skill=0.7) -> PictureCounts:
    """Draw pictures of which some are hard and some are full."""
    truth = rng.negative_binomial(2, 0.2, size) if truth is None else truth
    ease = np.clip(rng.normal(skill, 0.2, size), 0, 1)
    matched = rng.binomial(truth, ease)
    return counts(truth, matched + rng.poisson(1.5, size), matched)


def f1(pictures: PictureCounts) -> float:
    sides = int(pictures.num_truth.sum() + pictures.num_predicted.sum())
    return 2 * int(pictures.num_matched[:, 0].sum()) / sides if sides else 1.0


place = st.integers(0, 3).map(float)
objects = st.lists(st.builds(lambda x, y: Labelled("a", Box(x, y, x + 3, y + 3)), place, place), max_size=4)
pictures = st.lists(st.tuples(objects, objects, st.builds(Answer, st.integers(0, 2))), min_size=1, max_size=6)


def gathered(rows) -> ReportMetric:
    metric = ReportMetric(average_precision=())
    for row in rows:
        metric.update(*row)
    return metric


@given(pictures)
@settings(max_examples=40, deadline=None)
def test_figures_of_one_sample_are_those_of_a_report_over_its_pictures(rows):
    whole = gathered(rows).compute()
    drawn = np.random.default_rng([7, 0]).integers(len(rows), size=(1, len(rows)))[0]
    sample = gathered([rows[index] for index in drawn]).compute().as_dict()
    found = bootstrap_intervals(whole.pictures, num_samples=1, seed=7)
    if len(rows) > 1:
        assert found == {name: Interval(*[pytest.approx(sample[name])] * 2) for name in FIGURES}


@given(pictures, pictures)
@settings(max_examples=20, deadline=None)
def test_merged_states_have_the_intervals_of_the_whole(left, right):
    whole = gathered([*left, *right]).compute().pictures
    merged = gathered(left).merge(pickle.loads(pickle.dumps(gathered(right)))).compute().pictures
    assert bootstrap_intervals(merged, num_samples=20) == bootstrap_intervals(whole, num_samples=20)


def test_an_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    truth = f1(simulated(rng, 400_000))
    found = [bootstrap_intervals(simulated(rng, 150), num_samples=300)["detection/f1_50"] for _ in range(300)]
    share = sum(low <= truth <= high for low, high in found) / len(found)
    assert 0.91 <= share <= 0.98  # 0.95, three standard deviations of 300 draws to each side
    assert all(0.0 <= low < high <= 1.0 for low, high in found)


def test_a_wider_level_gives_a_wider_interval_and_more_pictures_a_narrower_one():
    rng = np.random.default_rng(4)
    few, many = simulated(rng, 100), simulated(rng, 2500)
    widths = [
        high - low
        for low, high in (bootstrap_intervals(few, level=level)["detection/f1_50"] for level in (0.5, 0.95, 0.99))
    ]
    assert widths == sorted(widths)
    low, high = bootstrap_intervals(many)["detection/f1_50"]
    assert high - low == pytest.approx(widths[1] / 5, rel=0.3)


def test_the_seed_decides_and_the_memory_does_not(monkeypatch):
    pictures = simulated(np.random.default_rng(5), 50)
    first = bootstrap_intervals(pictures, seed=1)
    assert first == bootstrap_intervals(pictures, seed=1) != bootstrap_intervals(pictures, seed=2)
    other = replace(pictures, num_matched=pictures.num_matched // 2)
    compared = paired_comparison(pictures, other)
    monkeypatch.setattr("qvl.metrics.resampling._CELLS", 70)  # one sample at a time
    assert bootstrap_intervals(pictures, seed=1) == first
    assert paired_comparison(pictures, other)["detection/f1_50"].interval == compared["detection/f1_50"].interval


def test_pictures_without_any_object_are_right():
    nothing = counts([0, 0, 0], [0, 0, 0], [0, 0, 0])
    assert set(bootstrap_intervals(nothing).values()) == {Interval(1.0, 1.0)}
    found = bootstrap_intervals(counts([0, 0, 0], [1, 0, 2], [0, 0, 0]))  # too much was said
    assert found["detection/f1_50"].low == 0.0
    assert found["detection/recall_50"].low == 0.0


def test_one_picture_tells_nothing():
    one, other = counts([5], [5], [4]), counts([5], [4], [1])
    assert set(bootstrap_intervals(one).values()) == {Interval(0.0, 1.0)}
    found = paired_comparison(one, other)["detection/recall_50"]
    assert found == Comparison(pytest.approx(0.6), Interval(-1.0, 1.0), 1.0, 1, 0, 0)


def test_a_run_compared_with_itself_does_not_differ():
    run = simulated(np.random.default_rng(6), 40)
    found = paired_comparison(run, run)
    assert list(found) == FIGURES
    assert set(found.values()) == {Comparison(0.0, Interval(0.0, 0.0), 1.0, 0, 0, 40)}


def test_chance_alone_gives_every_p_value_equally_often():
    rng = np.random.default_rng(8)
    p_values = []
    for _ in range(400):
        truth = rng.negative_binomial(2, 0.2, 60)
        runs = simulated(rng, 60, truth=truth), simulated(rng, 60, truth=truth)
        p_values.append(paired_comparison(*runs, num_samples=199)["detection/f1_50"].p_value)
    levels = np.linspace(0.05, 0.95, 19)
    shares = (np.array(p_values)[:, np.newaxis] <= levels).mean(axis=0)
    assert np.abs(shares - levels).max() < 1.63 / np.sqrt(len(p_values))  # Kolmogorov and Smirnov, 1 %


def test_a_better_run_is_found_and_told_from_a_worse_one():
    rng = np.random.default_rng(9)
    truth = rng.negative_binomial(2, 0.2, 200)
    good, bad = simulated(rng, 200, truth=truth, skill=0.8), simulated(rng, 200, truth=truth, skill=0.6)
    there, back = paired_comparison(good, bad)["detection/f1_50"], paired_comparison(bad, good)["detection/f1_50"]
    assert there.difference == pytest.approx(f1(good) - f1(bad)) == -back.difference
    assert there.p_value == pytest.approx(1 / 1001)
    assert 0 < there.interval.low < there.difference < there.interval.high
    assert (there.num_better, there.num_worse, there.num_equal) == (back.num_worse, back.num_better, back.num_equal)
    assert there.num_better + there.num_worse + there.num_equal == 200
    assert there.num_better > there.num_worse
    assert back.interval.high == pytest.approx(-there.interval.low)


def test_the_comparison_is_paired():
    """What is hard for both runs does not blur a small difference between them."""
    rng = np.random.default_rng(10)
    ours = simulated(rng, 80)
    theirs = replace(ours, num_predicted=ours.num_predicted + (rng.random(80) < 0.3))
    found = paired_comparison(ours, theirs)["detection/precision_50"]
    low, high = bootstrap_intervals(ours)["detection/precision_50"]
    assert found.p_value < 0.01
    assert found.interval.high - found.interval.low < (high - low) / 2


def test_summaries_have_intervals_and_comparisons_too():
    cable, screw = WRITER.write(["type=cable"]), WRITER.write(["type=screw"])
    right, wrong = SummaryMetric(), SummaryMetric()
    for number in range(40):
        right.update(cable, cable if number % 4 else screw)
        wrong.update(cable, "?" if number % 2 else IRRELEVANT)
    ours, theirs = right.compute(), wrong.compute()
    found = bootstrap_intervals(ours.summaries)
    assert list(found) == SUMMARY_FIGURES == [*paired_comparison(ours.summaries, theirs.summaries)]
    for name, value in ours.as_dict().items():
        assert found[name].low <= value <= found[name].high
        compared = paired_comparison(ours.summaries, theirs.summaries)[name]
        assert compared.difference == pytest.approx(value - theirs.as_dict()[name])
    assert found["summary/exact_match"].low < 0.75 < found["summary/exact_match"].high
    assert found["summary/readable"] == Interval(1.0, 1.0)
    compared = paired_comparison(ours.summaries, theirs.summaries)["summary/f1"]
    assert (compared.num_better, compared.num_equal, compared.p_value) == (30, 10, pytest.approx(1 / 1001))


def test_runs_over_other_pictures_are_refused():
    with pytest.raises(ValueError, match="got 2 and 3 with 3 and 3 true ones"):
        paired_comparison(counts([1, 2], [1, 1], [1, 1]), counts([1, 1, 1], [1, 1, 1], [1, 1, 1]))
    with pytest.raises(ValueError, match="same pictures in the same order"):
        paired_comparison(counts([1, 2], [1, 1], [1, 1]), counts([2, 1], [1, 1], [1, 1]))
    text = WRITER.write(["type=cable"])
    summaries = SummaryMetric().update(text, text).compute().summaries
    with pytest.raises(ValueError, match="same pictures"):
        paired_comparison(summaries, counts(summaries.num_truth, [1], [1]))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"level": 1.0}, "level must lie"), ({"level": 0.0}, "level must lie"), ({"num_samples": 0}, "at least 1")],
)
def test_settings_that_mean_nothing_are_refused(options, message):
    run = counts([1, 2], [1, 1], [1, 1])
    with pytest.raises(ValueError, match=message):
        bootstrap_intervals(run, **options)
    with pytest.raises(ValueError, match=message):
        paired_comparison(run, run, **options)
    with pytest.raises(ValueError, match="no picture"):
        bootstrap_intervals(counts([], [], []))
