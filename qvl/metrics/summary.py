"""Scores of summaries: the counts that `SummaryWriter` writes, compared fact by fact."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias

import numpy as np

from qvl.conversation import IRRELEVANT, SummaryWriter
from qvl.metrics.detection import CategoryResult, ratios
from qvl.metrics.objects import Integers

_LARGEST: Final = 10**6
"""Largest count that is believed; a model may write a number of hundreds of digits."""

_MAX_DIGITS: Final = 18

Facts: TypeAlias = Counter[tuple[str, str, str]]
"""How often each (category, attribute, value) was counted; ("name", "", "") is the category itself."""


@dataclass(frozen=True, slots=True)
class SummaryCounts:
    """What was counted in each summary, in the order of `update`; what resampling and paired tests start from.

    Attributes:
        num_truth: (S,) annotated facts, each as often as it was counted.
        num_said: (S,) stated facts.
        num_right: (S,) facts that are both.
        is_exact: (S,) 1 where the texts are equal, else 0.
        has_same_facts: (S,) 1 where the facts are equal.
        is_readable: (S,) 1 where the answer is a summary.
    """

    num_truth: Integers
    num_said: Integers
    num_right: Integers
    is_exact: Integers
    has_same_facts: Integers
    is_readable: Integers


@dataclass(frozen=True, slots=True)
class SummaryResult:
    """Scores of summaries.

    Attributes:
        exact_match: Share of answers that are the annotated text, blanks around it aside.
        same_facts: Share of answers that state the same facts, in any order.
        readable: Share of answers that are a summary or the line for irrelevant pictures.
        precision: Facts that are right / facts that were stated, each as often as it was counted.
        recall: Facts that are right / facts that are annotated.
        f1: Harmonic mean of both.
        num_summaries: Answers.
        per_category: Scores of the facts of each category, in alphabetical order.
        summaries: Counts of each summary.
    """

    exact_match: float
    same_facts: float
    readable: float
    precision: float
    recall: float
    f1: float
    num_summaries: int
    per_category: Mapping[str, CategoryResult]
    summaries: SummaryCounts = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, float]:
        """Return the figures by stable names such as `summary/f1`."""
        names = ("exact_match", "same_facts", "readable", "precision", "recall", "f1")
        values = (self.exact_match, self.same_facts, self.readable, self.precision, self.recall, self.f1)
        return {f"summary/{name}": value for name, value in zip(names, values, strict=True)}


class SummaryMetric:
    """Compares written summaries with the annotated ones, one after the other.

    A fact is a category, or a value of an attribute of a category; it counts as often as the summary counts it. So with
    2 red cables annotated and 3 said, 2 of 3 are right. The state can be pickled; `merge` joins several.
    """

    def __init__(self, *, writer: SummaryWriter | None = None) -> None:
        """Start with no summary.

        Args:
            writer: What wrote the annotated summaries: its words are the keys that are read.
        """
        self.writer = writer or SummaryWriter()
        self.reset()

    def reset(self) -> None:
        """Forget all summaries."""
        self._rows: list[tuple[int, int, int, bool, bool, bool]] = []
        self._truth: Counter[str] = Counter()
        self._said: Counter[str] = Counter()
        self._right: Counter[str] = Counter()

    def update(self, truth: str, said: str) -> Self:
        """Add one summary.

        Args:
            truth: The annotated text.
            said: What the model wrote, whatever it is.

        Returns:
            The metric itself.

        Raises:
            ValueError: If the annotated text is no summary of the writer's form.
        """
        true_facts, said_facts = read_summary(truth, writer=self.writer), read_summary(said, writer=self.writer)
        if true_facts is None:
            raise ValueError(f"the annotated summary has another form than {self.writer} writes: {truth[:80]!r}")
        found = Counter() if said_facts is None else said_facts
        right = true_facts & found
        sizes = true_facts.total(), found.total(), right.total()
        is_exact, has_same_facts = truth.strip() == said.strip(), true_facts == said_facts
        self._rows.append((*sizes, is_exact, has_same_facts, said_facts is not None))
        self._truth += _by_category(true_facts)
        self._said += _by_category(found)
        self._right += _by_category(right)
        return self

    def merge(self, other: SummaryMetric) -> Self:
        """Add the summaries of another metric, which stays as it is.

        Raises:
            ValueError: If its writer differs.
        """
        if self.writer != other.writer:
            raise ValueError(f"metrics with different writers: {self.writer} and {other.writer}")
        self._rows += other._rows
        self._truth += other._truth
        self._said += other._said
        self._right += other._right
        return self

    def compute(self) -> SummaryResult:
        """Return the scores of all summaries since the last `reset`.

        Raises:
            ValueError: If there was none.
        """
        if not self._rows:
            raise ValueError("no summary to score: call update first")
        rows: Integers = np.array(self._rows, dtype=np.intp)
        counts = SummaryCounts(*rows.T)
        precision, recall, f1 = ratios(self._truth.total(), self._said.total(), self._right.total())
        return SummaryResult(
            exact_match=float(counts.is_exact.mean()),
            same_facts=float(counts.has_same_facts.mean()),
            readable=float(counts.is_readable.mean()),
            precision=precision,
            recall=recall,
            f1=f1,
            num_summaries=len(rows),
            per_category={name: self._category(name) for name in sorted(self._truth.keys() | self._said.keys())},
            summaries=counts,
        )

    def _category(self, name: str) -> CategoryResult:
        counts = self._truth[name], self._said[name], self._right[name]
        return CategoryResult(*ratios(*counts), *counts)


def read_summary(text: str, *, writer: SummaryWriter) -> Facts | None:
    """Return the facts of a summary; None if it has another form. Remarks and groups are not facts.

    Args:
        text: One line of JSON, or the line for irrelevant pictures, which states nothing.
        writer: Its words are the keys that are read.
    """
    if text.strip() == IRRELEVANT:
        return Counter()
    try:
        summary = json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError):
        return None
    entries = summary.get(writer.statistics_word) if isinstance(summary, dict) else None
    if not isinstance(entries, list):
        return None
    facts: Facts = Counter()
    for entry in entries:
        found = _entry_facts(entry, writer)
        if found is None:
            return None
        facts += found
    return facts


def _integer(digits: str) -> int:
    """Read digits; `int` refuses thousands of them."""
    return int(digits) if len(digits) <= _MAX_DIGITS else _LARGEST + 1


def _entry_facts(entry: object, writer: SummaryWriter) -> Facts | None:
    """Return the facts of one category; None if the entry has another form."""
    if not isinstance(entry, dict) or not isinstance(name := entry.get(writer.category_word), str):
        return None
    size = entry.get(writer.count_word, 1) if writer.count_word else 1
    if not _is_count(size):
        return None
    facts: Facts = Counter({(name, "", ""): size})
    for key, values in entry.items():
        if key in (writer.category_word, writer.count_word):
            continue
        if not isinstance(values, dict) or not all(map(_is_count, values.values())):
            return None
        facts.update({(name, key, value): count for value, count in values.items()})
    return facts


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST


def _by_category(facts: Facts) -> Counter[str]:
    sums: Counter[str] = Counter()
    for (name, _, _), count in facts.items():
        sums[name] += count
    return sums
