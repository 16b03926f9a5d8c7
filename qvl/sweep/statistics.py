"""What the values of a swept key do to a metric: means, spreads, and comparisons of runs that differ in one key."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qvl.sweep.settings import SEED, as_number, canonical

__all__ = ["Change", "Effect", "Level", "Repeats", "Run", "Summary", "best_run", "find_effect", "repeats", "summarize"]


@dataclass(frozen=True, slots=True)
class Run:
    """What the statistics need of a finished job.

    Attributes:
        name: Of the job.
        settings: Values of the swept keys; a key that was not given is missing.
        score: Finite.
    """

    name: str
    settings: Mapping[str, str]
    score: float


@dataclass(frozen=True, slots=True)
class Summary:
    """Several numbers in a few.

    Attributes:
        count: How many there are, at least 1.
        mean: Between low and high.
        std: Standard deviation of the sample (divided by count - 1), None for a single number.
        low: The smallest.
        high: The largest.
    """

    count: int
    mean: float
    std: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Change:
    """Comparison with the first value of a key, over pairs of runs that are alike in every other key.

    Attributes:
        pairs: Number of pairs, at least 1.
        mean: Mean difference of the metric; positive: this value has more of it.
        num_better: Pairs in which this value is better.
    """

    pairs: int
    mean: float
    num_better: int


@dataclass(frozen=True, slots=True)
class Level:
    """One value of a swept key.

    Attributes:
        value: As it was written, None for runs that were not given the key.
        runs: Those with this value.
        summary: Of their scores.
        change: Against the first level; None for the first one, and where no two runs make a pair.
    """

    value: str | None
    runs: tuple[Run, ...]
    summary: Summary
    change: Change | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a swept key does.

    Attributes:
        key: Its name.
        levels: Its values, numbers by size, others by order of appearance; runs without the key come first.
        is_numeric: Whether every level is a number.
    """

    key: str
    levels: tuple[Level, ...]
    is_numeric: bool


@dataclass(frozen=True, slots=True)
class Repeats:
    """Runs with the same settings but for the seed.

    Attributes:
        groups: The runs and their summary, one for each combination of settings; single runs too.
        std: Standard deviation within the groups, taken together; None if no combination was repeated.
        num_repeated: Groups of more than one run.
    """

    groups: tuple[tuple[tuple[Run, ...], Summary], ...]
    std: float | None
    num_repeated: int


def summarize(values: Sequence[float]) -> Summary:
    """Summarize finite numbers.

    Raises:
        ValueError: There are none.
    """
    if not values:
        raise ValueError("values is empty, expected at least one number")
    low, high, count = min(values), max(values), len(values)
    mean = min(max(math.fsum(values) / count, low), high)
    std = math.sqrt(_squares(values, mean) / (count - 1)) if count > 1 else None
    return Summary(count=count, mean=mean, std=std, low=low, high=high)


def best_run(runs: Sequence[Run], *, higher_is_better: bool) -> Run | None:
    """Return the run with the best score, the first of equals; None without runs."""
    if not runs:
        return None
    return max(runs, key=lambda run: run.score) if higher_is_better else min(runs, key=lambda run: run.score)


def find_effect(key: str, runs: Sequence[Run], *, higher_is_better: bool) -> Effect:
    """Compare the values of one key.

    Args:
        key: A swept key.
        runs: All finished runs.
        higher_is_better: Which direction of the metric is the good one.
    """
    by_value: defaultdict[str | None, list[Run]] = defaultdict(list)
    for run in runs:
        by_value[_value(run, key)].append(run)
    order = sorted(by_value, key=_order)
    if any(_is_word(value) for value in order):
        order = sorted(by_value, key=lambda value: value is not None)  # words stay as they came
    levels = []
    for value in order:
        group = by_value[value]
        change = _change(key, by_value[order[0]], group, higher_is_better) if value != order[0] else None
        summary = summarize([run.score for run in group])
        levels.append(Level(group[0].settings.get(key), tuple(group), summary, change))
    is_numeric = bool(order) and not any(value is None or _is_word(value) for value in order)
    return Effect(key, tuple(levels), is_numeric)


def repeats(runs: Sequence[Run]) -> Repeats:
    """Put runs together that differ in nothing but the seed."""
    by_settings: defaultdict[object, list[Run]] = defaultdict(list)
    for run in runs:
        by_settings[_others(run, SEED)].append(run)
    groups = tuple((tuple(group), summarize([run.score for run in group])) for group in by_settings.values())
    freedom = sum(summary.count - 1 for _, summary in groups)
    squares = math.fsum(_squares([run.score for run in group], summary.mean) for group, summary in groups)
    std = math.sqrt(squares / freedom) if freedom else None
    return Repeats(groups, std, sum(summary.count > 1 for _, summary in groups))


def _change(key: str, first: Sequence[Run], group: Sequence[Run], higher_is_better: bool) -> Change | None:
    """Compare runs that are alike in every other key, the seed included; twins within a side are averaged."""
    old, new = _means(key, first), _means(key, group)
    differences = [new[others] - old[others] for others in new if others in old]
    if not differences:
        return None
    better = sum(difference > 0 if higher_is_better else difference < 0 for difference in differences)
    return Change(pairs=len(differences), mean=math.fsum(differences) / len(differences), num_better=better)


def _means(key: str, runs: Sequence[Run]) -> dict[object, float]:
    scores: defaultdict[object, list[float]] = defaultdict(list)
    for run in runs:
        scores[_others(run, key)].append(run.score)
    return {others: summarize(found).mean for others, found in scores.items()}


def _others(run: Run, key: str) -> object:
    return frozenset((name, canonical(value)) for name, value in run.settings.items() if name != key)


def _value(run: Run, key: str) -> str | None:
    return canonical(run.settings[key]) if key in run.settings else None


def _is_word(value: str | None) -> bool:
    return value is not None and as_number(value) is None


def _order(value: str | None) -> tuple[bool, float]:
    return value is not None, (as_number(value) or 0.0) if value is not None else 0.0


def _squares(values: Sequence[float], mean: float) -> float:
    return math.fsum((value - mean) * (value - mean) for value in values)
