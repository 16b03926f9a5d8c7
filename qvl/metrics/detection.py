"""Precision, recall and F1 of detected objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Self

from qvl.geometry import overlap
from qvl.metrics.matching import Labelled, match

LINE_TOLERANCE: Final = 20.0
"""Half the width of the tube around a line, in units of the 0..1000 grid: 2 % of the picture.

At IoU 0.5 a parallel copy of a long line may then lie 13 units aside (two thirds of the half-width): as strict as for a
box 40 units wide. The reference system used 8, where 5 units, half a percent of the picture, are the most: its scores
of lines are lower and not comparable.
"""


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

    Shapes are on the 0..1000 grid, so that the tolerance of lines means the same in every picture.
    """

    def __init__(
        self, *, threshold: float = 0.5, line_tolerance: float = LINE_TOLERANCE, same_category: bool = True
    ) -> None:
        """Start with no picture.

        Args:
            threshold: Smallest overlap of a pair, in (0, 1].
            line_tolerance: Half the width of the tube around a line in grid units, > 0.
            same_category: Whether a pair must have equal categories; off, only the places are compared.

        Raises:
            ValueError: If `threshold` or `line_tolerance` is out of range.
        """
        if not 0.0 < threshold <= 1.0:
            raise ValueError(f"threshold must lie in (0, 1], got {threshold}")
        if not line_tolerance > 0.0:
            raise ValueError(f"line_tolerance must be positive, got {line_tolerance}")
        self.threshold = threshold
        self.line_tolerance = line_tolerance
        self.same_category = same_category
        self.reset()

    def reset(self) -> None:
        """Forget all pictures."""
        self._num_images = 0
        self._num_malformed = 0
        self._num_matched = 0
        self._truth: Counter[str] = Counter()
        self._predicted: Counter[str] = Counter()
        self._matched: Counter[str] = Counter()

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
        matching = match(
            truth,
            predicted,
            threshold=self.threshold,
            overlap=partial(overlap, line_tolerance=self.line_tolerance),
            same_category=self.same_category,
        )
        agreed = [truth[i].category for i, j, _ in matching.pairs if truth[i].category == predicted[j].category]
        self._num_images += 1
        self._num_malformed += num_malformed
        self._num_matched += len(matching.pairs)
        self._truth.update(labelled.category for labelled in truth)
        self._predicted.update(labelled.category for labelled in predicted)
        self._matched.update(agreed)
        return self

    def compute(self) -> DetectionResult:
        """Return the scores of all pictures since the last `reset`.

        Raises:
            ValueError: If there was no picture.
        """
        if not self._num_images:
            raise ValueError("no picture to score: call update first")
        num_truth, num_predicted = self._truth.total(), self._predicted.total() + self._num_malformed
        precision, recall, f1 = _scores(num_truth, num_predicted, self._num_matched)
        return DetectionResult(
            precision=precision,
            recall=recall,
            f1=f1,
            num_truth=num_truth,
            num_predicted=num_predicted,
            num_matched=self._num_matched,
            num_images=self._num_images,
            per_category={name: self._category(name) for name in sorted(self._truth.keys() | self._predicted.keys())},
        )

    def _category(self, name: str) -> CategoryResult:
        counts = self._truth[name], self._predicted[name], self._matched[name]
        return CategoryResult(*_scores(*counts), *counts)


def _scores(num_truth: int, num_predicted: int, num_matched: int) -> tuple[float, float, float]:
    """Return precision, recall and F1."""
    if num_truth == num_predicted == 0:
        return 1.0, 1.0, 1.0
    precision = num_matched / num_predicted if num_predicted else 0.0
    recall = num_matched / num_truth if num_truth else 0.0
    return precision, recall, 2 * num_matched / (num_truth + num_predicted)
