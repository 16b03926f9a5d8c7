"""Everything that is counted about detected objects, from one matching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np

from qvl.metrics.agreement import CountResult, DescriptionResult, compare_counts, compare_descriptions
from qvl.metrics.coco import KINDS, AveragePrecision, Kind, average_precision
from qvl.metrics.detection import CategoryResult, by_category, ratios
from qvl.metrics.failures import Answer, FailureRates, failure_rates, find_failures
from qvl.metrics.matching import Method, check_settings, of_same_category, take_pairs
from qvl.metrics.objects import Flags, Integers, Labelled, Objects, pack
from qvl.metrics.overlaps import LINE_TOLERANCE, Overlaps, measure

THRESHOLDS: Final = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Overlaps at which objects are matched: 0.50, 0.55, ... 0.95."""


@dataclass(frozen=True, slots=True)
class PictureCounts:
    """What was counted in each picture, in the order of `update`; what resampling and paired tests start from.

    Attributes:
        num_truth: (P,) annotated objects.
        num_predicted: (P,) predicted objects, the malformed included.
        num_matched: (P, 10) pairs at each of `THRESHOLDS`.
    """

    num_truth: Integers
    num_predicted: Integers
    num_matched: Integers


@dataclass(frozen=True, slots=True)
class DetectionReport:
    """Scores over all pictures, micro-averaged: counts are summed first.

    Pairs have the same category and overlap by the threshold, if nothing else is said.

    Attributes:
        precision_50: Precision at 0.50; with nothing predicted 0, with no truth either 1.
        recall_50: Recall at 0.50; with no truth 0, with nothing predicted either 1.
        f1_50: Harmonic mean of both, the headline.
        f1_50_95: Mean of F1 at `THRESHOLDS`.
        f1_any_category_50: F1 at 0.50 of the places alone.
        f1_any_category_50_95: Mean of it at `THRESHOLDS`.
        f1_by_threshold: F1 at each of `THRESHOLDS`.
        num_truth: Annotated objects.
        num_predicted: Predicted objects, the malformed included.
        num_matched: Pairs at 0.50.
        num_images: Pictures, those without any object included.
        per_category: Scores at 0.50 of every category, in alphabetical order.
        descriptions: What is said about the pairs at 0.50.
        counts: How many objects were named.
        failures: How often answers went wrong.
        average_precision: COCO's figures of each kind that was asked for.
        pictures: Counts of each picture.
    """

    precision_50: float
    recall_50: float
    f1_50: float
    f1_50_95: float
    f1_any_category_50: float
    f1_any_category_50_95: float
    f1_by_threshold: Mapping[float, float]
    num_truth: int
    num_predicted: int
    num_matched: int
    num_images: int
    per_category: Mapping[str, CategoryResult]
    descriptions: DescriptionResult
    counts: CountResult
    failures: FailureRates
    average_precision: Mapping[Kind, AveragePrecision]
    pictures: PictureCounts = field(compare=False, repr=False)

    def as_dict(self, *, per_category: bool = False) -> dict[str, float]:
        """Return the figures by stable names such as `detection/f1_50`; those that are not defined are left out.

        Args:
            per_category: Whether `detection/category/<name>/f1_50` and the like are among them.
        """
        figures = {
            "f1_50": self.f1_50,
            "precision_50": self.precision_50,
            "recall_50": self.recall_50,
            "f1_50_95": self.f1_50_95,
            "f1_any_category_50": self.f1_any_category_50,
            "f1_any_category_50_95": self.f1_any_category_50_95,
            "description_equality": self.descriptions.equality,
            "attribute_accuracy": self.descriptions.attribute_accuracy,
            "count_error": self.counts.error,
            "count_bias": self.counts.bias,
            "count_exact": self.counts.exact,
            **self.failures.as_dict(),
        }
        for kind, result in self.average_precision.items():
            figures |= {f"{name}_{kind}": figure for name, figure in result.as_dict().items()}
        if per_category:
            figures |= self._by_category()
        return {f"detection/{name}": figure for name, figure in figures.items() if figure is not None}

    def _by_category(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, result in self.per_category.items():
            found[f"category/{name}/f1_50"] = result.f1
            found[f"category/{name}/precision_50"] = result.precision
            found[f"category/{name}/recall_50"] = result.recall
            found[f"category/{name}/count_error"] = self.counts.per_category[name]
        for kind, precision in self.average_precision.items():
            found |= {f"category/{name}/ap_{kind}": ap for name, ap in precision.per_category.items()}
        return found


class ReportMetric:
    """All figures about detected objects, gathered picture by picture.

    Shapes are on the 0..1000 grid. The state can be pickled; `merge` joins the states of several processes.
    """

    def __init__(
        self,
        *,
        line_tolerance: float = LINE_TOLERANCE,
        method: Method = "overlap",
        average_precision: Sequence[Kind] = ("boxes",),
    ) -> None:
        """Start with no picture.

        Args:
            line_tolerance: Half the width of the tube around a line in grid units, > 0.
            method: How pairs are taken, see `Method`.
            average_precision: Kinds of COCO's figures, see `Kind`.

        Raises:
            ValueError: If a setting is not allowed.
        """
        check_settings(threshold=THRESHOLDS[0], line_tolerance=line_tolerance, method=method)
        if unknown := [kind for kind in average_precision if kind not in KINDS]:
            raise ValueError(f"unknown average_precision {unknown[0]!r}, allowed are {', '.join(KINDS)}")
        self.line_tolerance = line_tolerance
        self.method: Method = method
        self.average_precision: tuple[Kind, ...] = tuple(average_precision)
        self.reset()

    def reset(self) -> None:
        """Forget all pictures."""
        self._truth: list[tuple[Labelled, ...]] = []
        self._predicted: list[tuple[Labelled, ...]] = []
        self._answers: list[Answer] = []

    def update(self, truth: Sequence[Labelled], predicted: Sequence[Labelled], answer: Answer | None = None) -> Self:
        """Add one picture.

        Args:
            truth: Its annotated objects.
            predicted: The objects that the model named and that have a possible shape.
            answer: What else is known of the answer.

        Returns:
            The metric itself.
        """
        self._truth.append(tuple(truth))
        self._predicted.append(tuple(predicted))
        self._answers.append(answer or Answer())
        return self

    def merge(self, other: ReportMetric) -> Self:
        """Add the pictures of another metric, of another process say, which stays as it is.

        Raises:
            ValueError: If its settings differ.
        """
        mine, theirs = self._settings(), other._settings()
        if mine != theirs:
            raise ValueError(f"metrics with different settings: {mine} and {theirs}")
        self._truth += other._truth
        self._predicted += other._predicted
        self._answers += other._answers
        return self

    def compute(self) -> DetectionReport:
        """Return the figures of all pictures since the last `reset`.

        Raises:
            ValueError: If there was no picture, or a score is not finite.
        """
        if not self._answers:
            raise ValueError("no picture to score: call update first")
        numbers: dict[str, int] = {}
        truth, predicted = pack(self._truth, numbers), pack(self._predicted, numbers)
        table = measure(truth, predicted, minimum=THRESHOLDS[0], line_tolerance=self.line_tolerance)
        same = table.where(of_same_category(truth, predicted, table))
        rounds = _rounds(truth, predicted, same, method=self.method)
        places = [len(pairs.left) for pairs in _rounds(truth, predicted, table, method=self.method)]
        return self._report(truth, predicted, numbers, rounds, places)

    def _report(
        self,
        truth: Objects,
        predicted: Objects,
        numbers: Mapping[str, int],
        rounds: Sequence[Overlaps],
        places: Sequence[int],
    ) -> DetectionReport:
        pairs = rounds[0]
        num_malformed = np.array([answer.num_malformed for answer in self._answers], dtype=np.intp)
        pictures = _count_pictures(truth, predicted, rounds, num_malformed)
        num_truth, num_predicted = int(pictures.num_truth.sum()), int(pictures.num_predicted.sum())
        f1 = [ratios(num_truth, num_predicted, len(pairs.left))[2] for pairs in rounds]
        f1_places = [ratios(num_truth, num_predicted, count)[2] for count in places]
        precision_50, recall_50, _ = ratios(num_truth, num_predicted, len(pairs.left))
        is_matched: Flags = np.zeros(len(predicted.items), dtype=np.bool_)
        is_matched[pairs.right] = True
        failures = find_failures(
            self._answers, truth, predicted, is_matched=is_matched, line_tolerance=self.line_tolerance
        )
        return DetectionReport(
            precision_50=precision_50,
            recall_50=recall_50,
            f1_50=f1[0],
            f1_50_95=sum(f1) / len(f1),
            f1_any_category_50=f1_places[0],
            f1_any_category_50_95=sum(f1_places) / len(f1_places),
            f1_by_threshold=dict(zip(THRESHOLDS, f1, strict=True)),
            num_truth=num_truth,
            num_predicted=num_predicted,
            num_matched=len(pairs.left),
            num_images=len(self._answers),
            per_category=by_category(numbers, truth, predicted, pairs),
            descriptions=compare_descriptions(truth.items, predicted.items, pairs),
            counts=compare_counts(truth, predicted, num_malformed, numbers),
            failures=failure_rates(self._answers, failures),
            average_precision={
                kind: average_precision(truth, predicted, num_pictures=len(self._answers), names=numbers, kind=kind)
                for kind in self.average_precision
            },
            pictures=pictures,
        )

    def _settings(self) -> dict[str, object]:
        return {
            "line_tolerance": self.line_tolerance,
            "method": self.method,
            "average_precision": self.average_precision,
        }


def _rounds(truth: Objects, predicted: Objects, table: Overlaps, *, method: Method) -> list[Overlaps]:
    """Return the pairs at each of `THRESHOLDS`."""
    if method == "overlap":  # the best pairs are taken first: a higher threshold takes the head of the same list
        pairs = take_pairs(truth, predicted, table)
        return [pairs.where(pairs.value >= threshold) for threshold in THRESHOLDS]
    reached = (table.where(table.value >= threshold) for threshold in THRESHOLDS)
    return [take_pairs(truth, predicted, part, method=method) for part in reached]


def _count_pictures(
    truth: Objects, predicted: Objects, rounds: Sequence[Overlaps], num_malformed: Integers
) -> PictureCounts:
    size = len(num_malformed)
    matched = [np.bincount(truth.picture[pairs.left], minlength=size) for pairs in rounds]
    return PictureCounts(
        num_truth=np.bincount(truth.picture, minlength=size),
        num_predicted=np.bincount(predicted.picture, minlength=size) + num_malformed,
        num_matched=np.stack(matched, axis=1),
    )
