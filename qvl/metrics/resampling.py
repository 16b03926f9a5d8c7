"""How sure figures are: intervals by the bootstrap, and whether two runs differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from qvl.metrics.objects import Floats, Integers
from qvl.metrics.report import PictureCounts
from qvl.metrics.summary import SummaryCounts

Counts: TypeAlias = PictureCounts | SummaryCounts
"""What was counted in each picture, or in each summary."""

_CELLS = 2**22  # of a matrix of weights: 32 MiB, whatever the number of pictures


class Interval(NamedTuple):
    """From the lowest to the highest value that a figure, or a difference, may well have."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of two runs over the same pictures.

    Attributes:
        difference: The figure of the first run less that of the second.
        interval: Of the difference.
        p_value: How often runs that are equally good differ at least so much by chance, in (0, 1].
        num_better: Pictures in which the first run has the higher figure.
        num_worse: Pictures in which it has the lower one.
        num_equal: The other pictures.
    """

    difference: float
    interval: Interval
    p_value: float
    num_better: int
    num_worse: int
    num_equal: int


class _Table(NamedTuple):
    """Counts as rows that can be added, and what makes figures of their sums.

    `rows` is (P, K), and `figures` turns (..., K) sums into (..., F) figures, one for each of `names`. Counts are below
    2^53 and so exact.
    """

    names: tuple[str, ...]
    rows: Floats
    figures: Callable[[Floats], Floats]


def bootstrap_intervals(
    counts: Counts, *, level: float = 0.95, num_samples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Return how far each figure would move if other pictures of the same kind had been taken.

    Whole pictures are drawn with replacement, as many as there are, and figures are made of their summed counts: the
    percentile interval of Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Args:
        counts: Of each picture or each summary.
        level: Share of the samples inside the interval, in (0, 1).
        num_samples: Samples to draw.
        seed: Of the random numbers; the same one gives the same intervals.

    Returns:
        Interval of `detection/f1_50`, `detection/precision_50`, `detection/recall_50` and `detection/f1_50_95`, or of
        the figures `summary/...`. A single picture tells nothing: its intervals are [0, 1].

    Raises:
        ValueError: If there is no picture, or `level` or `num_samples` is not allowed.
    """
    table = _table(counts)
    _check(table, level=level, num_samples=num_samples)
    if len(table.rows) == 1:
        return dict.fromkeys(table.names, Interval(0.0, 1.0))
    samples = np.concatenate([table.figures(sums) for (sums,) in _resampled(table.rows, num_samples, seed)])
    return dict(zip(table.names, _percentiles(samples, level), strict=True))


def paired_comparison(
    a: Counts, b: Counts, *, level: float = 0.95, num_samples: int = 1000, seed: int = 0
) -> dict[str, Comparison]:
    """Compare two runs that answered the same pictures.

    The interval is that of the paired bootstrap: each sample draws the same pictures of both runs. The p-value is that
    of approximate randomisation, two-sided: the answers to each picture change sides with probability 1/2, and of n
    such rounds r give a difference as large as the one that was seen; p = (r + 1) / (n + 1). Noreen (1989),
    Computer-Intensive Methods for Testing Hypotheses; Yeh (2000), More accurate tests for the statistical significance
    of result differences.

    Args:
        a: Counts of the first run.
        b: Counts of the second run, of the same pictures in the same order.
        level: Share of the samples inside the interval, in (0, 1).
        num_samples: Samples of the bootstrap, and rounds of the randomisation.
        seed: Of the random numbers; the same one gives the same result.

    Returns:
        A comparison for each figure that `bootstrap_intervals` names. A single picture tells nothing: its intervals
        are [-1, 1].

    Raises:
        ValueError: If the pictures are not the same, there is none, or `level` or `num_samples` is not allowed.
    """
    left, right = _table(a), _table(b)
    _check(left, level=level, num_samples=num_samples)
    if left.names != right.names or not np.array_equal(a.num_truth, b.num_truth):
        raise ValueError(
            f"two runs are compared over the same pictures in the same order, got {len(left.rows)} and "
            f"{len(right.rows)} with {int(left.rows[:, 0].sum())} and {int(right.rows[:, 0].sum())} true ones to find"
        )
    differences = left.figures(left.rows.sum(axis=0)) - right.figures(right.rows.sum(axis=0))
    intervals = _difference_intervals(left, right, level=level, num_samples=num_samples, seed=seed)
    p_values = _p_values(left, right, num_samples=num_samples, seed=seed)
    signs = np.sign(np.round(left.figures(left.rows) - right.figures(right.rows), 12))
    return {
        name: Comparison(
            difference=float(differences[column]),
            interval=intervals[column],
            p_value=float(p_values[column]),
            num_better=int((signs[:, column] > 0).sum()),
            num_worse=int((signs[:, column] < 0).sum()),
            num_equal=int((signs[:, column] == 0).sum()),
        )
        for column, name in enumerate(left.names)
    }


def _table(counts: Counts) -> _Table:
    if isinstance(counts, PictureCounts):
        names = ["f1_50", "precision_50", "recall_50", "f1_50_95"]
        rows = _stack(counts.num_truth, counts.num_predicted, *counts.num_matched.T)
        return _Table(tuple(f"detection/{name}" for name in names), rows, _detection_figures)
    names = ["f1", "precision", "recall", "exact_match", "same_facts", "readable"]
    facts = counts.num_truth, counts.num_said, counts.num_right
    rows = _stack(*facts, np.ones_like(facts[0]), counts.is_exact, counts.has_same_facts, counts.is_readable)
    return _Table(tuple(f"summary/{name}" for name in names), rows, _summary_figures)


def _stack(*columns: Integers) -> Floats:
    return np.stack(columns, axis=1).astype(np.float64)


def _detection_figures(sums: Floats) -> Floats:
    truth, predicted, matched = sums[..., :1], sums[..., 1:2], sums[..., 2:]
    precision, recall, f1 = _ratios(truth, predicted, matched)
    return np.concatenate([f1[..., :1], precision[..., :1], recall[..., :1], f1.mean(axis=-1, keepdims=True)], axis=-1)


def _summary_figures(sums: Floats) -> Floats:
    truth, said, right, count = (sums[..., column : column + 1] for column in range(4))
    precision, recall, f1 = _ratios(truth, said, right)
    return np.concatenate([f1, precision, recall, sums[..., 4:] / count], axis=-1)


def _ratios(num_truth: Floats, num_predicted: Floats, num_matched: Floats) -> tuple[Floats, Floats, Floats]:
    """Return what `qvl.metrics.detection.ratios` does, of many sums at once."""
    found = (2 * num_matched, num_truth + num_predicted), (num_matched, num_predicted), (num_matched, num_truth)
    f1, precision, recall = (part / np.maximum(whole, 1.0) for part, whole in found)
    is_empty = num_truth + num_predicted == 0
    return np.where(is_empty, 1.0, precision), np.where(is_empty, 1.0, recall), np.where(is_empty, 1.0, f1)


def _check(table: _Table, *, level: float, num_samples: int) -> None:
    if not len(table.rows):
        raise ValueError("no picture to resample: the counts are empty")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1, got {num_samples}")


def _resampled(rows: Floats, num_samples: int, seed: int, *others: Floats) -> Iterator[tuple[Floats, ...]]:
    """Yield (B, K) sums of samples of pictures for each of the tables, which share the drawn pictures."""
    rng = np.random.default_rng([seed, 0])
    size = len(rows)
    for count in _chunks(num_samples, size):
        drawn = rng.integers(size, size=(count, size)) + size * np.arange(count)[:, np.newaxis]
        weights = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size).astype(np.float64)
        yield tuple(weights @ table for table in (rows, *others))


def _chunks(num_samples: int, size: int) -> Iterator[int]:
    """Yield how many samples are drawn at once, so that memory does not grow with their number."""
    most = max(_CELLS // max(size, 1), 1)
    for start in range(0, num_samples, most):
        yield min(most, num_samples - start)


def _percentiles(samples: Floats, level: float) -> list[Interval]:
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=0).tolist()
    return [Interval(*pair) for pair in zip(low, high, strict=True)]


def _difference_intervals(left: _Table, right: _Table, *, level: float, num_samples: int, seed: int) -> list[Interval]:
    if len(left.rows) == 1:
        return [Interval(-1.0, 1.0)] * len(left.names)
    sums = _resampled(left.rows, num_samples, seed, right.rows)
    return _percentiles(np.concatenate([left.figures(mine) - right.figures(theirs) for mine, theirs in sums]), level)


def _p_values(left: _Table, right: _Table, *, num_samples: int, seed: int) -> Floats:
    """Return p of each figure; pictures whose counts are equal change nothing by changing sides and are left out."""
    totals = left.rows.sum(axis=0), right.rows.sum(axis=0)
    seen = np.abs(left.figures(totals[0]) - right.figures(totals[1]))
    gaps = right.rows - left.rows
    gaps = gaps[gaps.any(axis=1)]
    rng = np.random.default_rng([seed, 1])
    num_as_large = np.zeros(len(left.names))
    for count in _chunks(num_samples, len(gaps)):
        moved = rng.integers(2, size=(count, len(gaps)), dtype=np.int8).astype(np.float64) @ gaps
        found = np.abs(left.figures(totals[0] + moved) - right.figures(totals[1] - moved))
        num_as_large += (found >= seen - 1e-12).sum(axis=0)  # equal figures may differ in the last bit
    return (num_as_large + 1) / (num_samples + 1)
