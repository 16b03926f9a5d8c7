"""Which objects were found, which were missed and which are wrong, and the scores that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from qvl.conversation import TextObject
from qvl.geometry import Shape, overlap
from qvl.metrics import DetectionMetric, DetectionResult, Labelled, match
from qvl.records import category
from qvl.visualization.card import shorten_label
from qvl.visualization.predictions import Prediction

__all__ = ["Outcome", "PictureReport", "Report", "Verdict", "judge"]

_GRID = 1000  # units across the picture


class Outcome(Enum):
    """What became of an object, of the truth or of the prediction."""

    MATCHED = "matched"
    MISSED = "missed"
    WRONG = "wrong"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One object and what became of it.

    Attributes:
        item: The object.
        shape: Its shape on the 0..1000 grid; None if its numbers make none.
        outcome: MATCHED or MISSED for the truth; MATCHED, WRONG or MALFORMED for a prediction.
        note: Why, in a few words; objects are counted from 1.
        desc_differs: Whether it is matched with an object of another description.
    """

    item: TextObject
    shape: Shape | None
    outcome: Outcome
    note: str
    desc_differs: bool = False


@dataclass(frozen=True, slots=True)
class PictureReport:
    """One picture: its row, its scores and a verdict on each object, in the order of the row."""

    prediction: Prediction
    scores: DetectionResult
    truth: tuple[Verdict, ...]
    predicted: tuple[Verdict, ...]

    @property
    def num_errors(self) -> int:
        """Objects that are not matched, on both sides."""
        return sum(verdict.outcome is not Outcome.MATCHED for verdict in (*self.truth, *self.predicted))


@dataclass(frozen=True, slots=True)
class Report:
    """All pictures of a predictions file, in its order.

    Attributes:
        pictures: One report a picture.
        scores: Over all pictures, as the evaluation computes them.
        threshold: Smallest overlap of a match.
        line_tolerance: Half width of a line's tube in grid units.
    """

    pictures: tuple[PictureReport, ...]
    scores: DetectionResult
    threshold: float
    line_tolerance: float

    def select(self, num_samples: int, *, worst_first: bool) -> tuple[PictureReport, ...]:
        """Return at most `num_samples` pictures: the lowest F1 (then the most errors) first, or as in the file."""
        if not worst_first:
            return self.pictures[:num_samples]
        ranked = sorted(self.pictures, key=lambda picture: (picture.scores.f1, -picture.num_errors))
        return tuple(ranked[:num_samples])


def judge(predictions: Sequence[Prediction], *, threshold: float, line_tolerance: float) -> Report:
    """Compare predictions with the truth, with the matching of the evaluation: same category, best overlap first.

    Args:
        predictions: At least one picture.
        threshold: Smallest overlap of a match, in (0, 1].
        line_tolerance: Half width of a line's tube in grid units, > 0.

    Raises:
        ValueError: There is no picture, or a number is out of range.
    """
    total = DetectionMetric(threshold=threshold, line_tolerance=line_tolerance)
    pictures = tuple(_judge_picture(prediction, total) for prediction in predictions)
    return Report(pictures, total.compute(), threshold, line_tolerance)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An object that can be matched and its number in the row, from 1."""

    number: int
    item: TextObject
    labelled: Labelled


def _judge_picture(prediction: Prediction, total: DetectionMetric) -> PictureReport:
    """Judge one picture and add it to the scores of all."""
    truth, _ = _candidates(prediction.truth)
    predicted, malformed = _candidates(prediction.predicted)
    sides = [one.labelled for one in truth], [one.labelled for one in predicted]
    total.update(*sides, num_malformed=len(malformed))
    single = DetectionMetric(threshold=total.threshold, line_tolerance=total.line_tolerance)
    scores = single.update(*sides, num_malformed=len(malformed)).compute()
    pairs = match(*sides, threshold=total.threshold, line_tolerance=total.line_tolerance).pairs
    missed = _Judge("prediction", Outcome.MISSED, predicted, total)
    wrong = _Judge("truth", Outcome.WRONG, truth, total)
    found = {i: (predicted[j], score) for i, j, score in pairs}
    right = {j: (truth[i], score) for i, j, score in pairs}
    numbered = malformed | {one.number: wrong.verdict(one, right.get(j)) for j, one in enumerate(predicted)}
    return PictureReport(
        prediction,
        scores,
        truth=tuple(missed.verdict(one, found.get(i)) for i, one in enumerate(truth)),
        predicted=tuple(numbered[number] for number in sorted(numbered)),
    )


def _candidates(items: Sequence[TextObject]) -> tuple[list[_Candidate], dict[int, Verdict]]:
    """Return the objects that make a shape, and verdicts by number on those that make none."""
    found, malformed = [], {}
    for number, item in enumerate(items, 1):
        try:
            shape = item.shape()
        except ValueError as error:  # a reversed or empty box, say
            malformed[number] = Verdict(item, None, Outcome.MALFORMED, str(error))
        else:
            found.append(_Candidate(number, item, Labelled(category(item.desc), shape)))
    return found, malformed


@dataclass(frozen=True, slots=True)
class _Judge:
    """Explains what became of the objects of one side.

    Attributes:
        side: Name of the other side.
        unmatched: What an object without a partner is.
        others: Objects of the other side.
        metric: Threshold and tolerance.
    """

    side: str
    unmatched: Outcome
    others: Sequence[_Candidate]
    metric: DetectionMetric

    def verdict(self, own: _Candidate, partner: tuple[_Candidate, float] | None) -> Verdict:
        if partner is None:
            return Verdict(own.item, own.labelled.shape, self.unmatched, self._reason(own))
        other, score = partner
        differs = own.item.desc != other.item.desc
        note = f"{self.side} {other.number}, overlap {score:.2f}"
        return Verdict(own.item, own.labelled.shape, Outcome.MATCHED, note, desc_differs=differs)

    def _reason(self, own: _Candidate) -> str:
        """Say why nothing matches: the object of the other side that agrees best, whatever it is called."""
        shape, tolerance = own.labelled.shape, self.metric.line_tolerance
        scored = [(overlap(shape, other.labelled.shape, line_tolerance=tolerance), other) for other in self.others]
        score, nearest = max(scored, key=lambda pair: pair[0], default=(0.0, own))
        if not score:
            x1, y1, x2, y2 = shape.bounds()
            outside = x2 < 0 or y2 < 0 or x1 > _GRID or y1 > _GRID
            return "lies outside the picture" if outside else f"overlaps no {self.side}"
        name = shorten_label(nearest.labelled.category)
        same = nearest.labelled.category == own.labelled.category
        if score < self.metric.threshold:
            what = "" if same else f", a {name}"
            return f"nearest is {self.side} {nearest.number}{what}, overlap {score:.2f}"
        if same:
            return f"{self.side} {nearest.number} lies here and has another partner, overlap {score:.2f}"
        return f"{self.side} {nearest.number} lies here but is a {name}, overlap {score:.2f}"
