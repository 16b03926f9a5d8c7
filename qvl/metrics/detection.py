"""Precision, recall and F1 of detected objects at one threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from qvl.metrics.matching import Method, check_settings, of_same_category, take_pairs
from qvl.metrics.objects import Integers, Labelled, Objects, pack
from qvl.metrics.overlaps import LINE_TOLERANCE, Overlaps, measure


@dataclass(frozen=True, slots=True)
class CategoryResult:
    """Scores of one category, summed over the pictures.

    A pair counts here when both its sides have the category, also if `same_category` is off.

    Attributes:
        precision: num_matched / num_predicted, 0 if nothing was predicted.
        recall: num_matched / num_truth, 0 if there was nothing to find.
        f1: Harmonic mean of both, 0 if both are.
        num_truth: Annotated objects.
        num_predicted: Predicted objects.
        num_matched: Pairs.
    """

    precision: float
    recall: float
    f1: float
    num_truth: int
    num_predicted: int
    num_matched: int


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """Scores over all pictures, micro-averaged: counts are summed first.

    Attributes:
        precision: num_matched / num_predicted, 0 if nothing was predicted.
        recall: num_matched / num_truth, 0 if there was nothing to find.
        f1: Harmonic mean of both, 0 if both are. With neither truth nor prediction all three are 1: to say nothing
            about empty pictures is right.
        num_truth: Annotated objects.
        num_predicted: Predicted objects, the malformed included.
        num_matched: Pairs.
        num_images: Pictures, those without any object included.
        per_category: Every category of truth or prediction in alphabetical order.
    """

    precision: float
    recall: float
    f1: float
    num_truth: int
    num_predicted: int
    num_matched: int
    num_images: int
    per_category: Mapping[str, CategoryResult]


class DetectionMetric:
    """Detection scores at one overlap threshold, gathered picture by picture.

    Shapes are on the 0..1000 grid, so that the tolerance of lines means the same in every picture. The state can be
    pickled; `merge` joins the states of several processes.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.5,
        line_tolerance: float = LINE_TOLERANCE,
        same_category: bool = True,
        method: Method = "overlap",
    ) -> None:
        """Start with no picture.

        Args:
            threshold: Smallest overlap of a pair, in (0, 1].
            line_tolerance: Half the width of the tube around a line in grid units, > 0.
            same_category: Whether a pair must have equal categories; off, only the places are compared.
            method: How pairs are taken, see `Method`.

        Raises:
            ValueError: If `threshold`, `line_tolerance` or `method` is not allowed.
        """
        check_settings(threshold=threshold, line_tolerance=line_tolerance, method=method)
        self.threshold = threshold
        self.line_tolerance = line_tolerance
        self.same_category = same_category
        self.method: Method = method
        self.reset()

    def reset(self) -> None:
        """Forget all pictures."""
        self._truth: list[tuple[Labelled, ...]] = []
        self._predicted: list[tuple[Labelled, ...]] = []
        self._num_malformed = 0

    def update(self, truth: Sequence[Labelled], predicted: Sequence[Labelled], *, num_malformed: int = 0) -> Self:
        """Add one picture.

        Args:
            truth: Its annotated objects.
            predicted: The objects that the model named.
            num_malformed: Objects that the model named without a possible shape (a reversed box, say): they are in no
                category, match nothing and count as predicted.

        Returns:
            The metric itself.
        """
        self._truth.append(tuple(truth))
        self._predicted.append(tuple(predicted))
        self._num_malformed += num_malformed
        return self

    def merge(self, other: DetectionMetric) -> Self:
        """Add the pictures of another metric, of another process say, which stays as it is.

        Raises:
            ValueError: If its settings differ.
        """
        if self._settings() != other._settings():
            raise ValueError(f"metrics with different settings: {self._settings()} and {other._settings()}")
        self._truth += other._truth
        self._predicted += other._predicted
        self._num_malformed += other._num_malformed
        return self

    def compute(self) -> DetectionResult:
        """Return the scores of all pictures since the last `reset`.

        Raises:
            ValueError: If there was no picture.
        """
        if not self._truth:
            raise ValueError("no picture to score: call update first")
        numbers: dict[str, int] = {}
        truth, predicted = pack(self._truth, numbers), pack(self._predicted, numbers)
        table = measure(truth, predicted, minimum=self.threshold, line_tolerance=self.line_tolerance)
        if self.same_category:
            table = table.where(of_same_category(truth, predicted, table))
        pairs = take_pairs(truth, predicted, table, method=self.method)
        num_truth, num_predicted = len(truth.items), len(predicted.items) + self._num_malformed
        num_matched = len(pairs.left)
        precision, recall, f1 = ratios(num_truth, num_predicted, num_matched)
        return DetectionResult(
            precision=precision,
            recall=recall,
            f1=f1,
            num_truth=num_truth,
            num_predicted=num_predicted,
            num_matched=num_matched,
            num_images=len(self._truth),
            per_category=by_category(numbers, truth, predicted, pairs),
        )

    def _settings(self) -> dict[str, object]:
        return {
            "threshold": self.threshold,
            "line_tolerance": self.line_tolerance,
            "same_category": self.same_category,
            "method": self.method,
        }


def by_category(
    numbers: Mapping[str, int], truth: Objects, predicted: Objects, pairs: Overlaps
) -> dict[str, CategoryResult]:
    """Return the scores of every category in alphabetical order.

    Args:
        numbers: Number of each category.
        truth: Left side of the pairs.
        predicted: Right side.
        pairs: The pairs; those of different categories count for none.
    """
    agreed = pairs.left[of_same_category(truth, predicted, pairs)]
    columns = (truth.category, predicted.category, truth.category[agreed])
    counts: list[Integers] = [np.bincount(column, minlength=len(numbers)) for column in columns]
    rows = np.stack(counts, axis=1).tolist()
    return {name: CategoryResult(*ratios(*rows[numbers[name]]), *rows[numbers[name]]) for name in sorted(numbers)}


def ratios(num_truth: int, num_predicted: int, num_matched: int) -> tuple[float, float, float]:
    """Return precision, recall and F1; all are 1 where there was nothing to find and nothing was said."""
    if num_truth == num_predicted == 0:
        return 1.0, 1.0, 1.0
    precision = num_matched / num_predicted if num_predicted else 0.0
    recall = num_matched / num_truth if num_truth else 0.0
    return precision, recall, 2 * num_matched / (num_truth + num_predicted)
