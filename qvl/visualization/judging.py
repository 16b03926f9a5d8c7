"""Which objects were found, which were missed and which are wrong, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qvl.conversation import SummaryWriter, TextObject
from qvl.evaluation import Prediction, answer_of, find_writer, score_summaries
from qvl.geometry import overlap
from qvl.metrics import (
    LINE_TOLERANCE,
    DetectionMetric,
    Failures,
    Labelled,
    match,
    picture_failures,
)
from qvl.records import category
from qvl.visualization.card import shorten_label
from qvl.visualization.facts import judge_summary
from qvl.visualization.verdicts import Failure, Outcome, PictureReport, Report, Verdict

__all__ = ["judge"]

_GRID: Final = 1000  # units across the picture


def judge(
    predictions: Sequence[Prediction],
    *,
    threshold: float = 0.5,
    line_tolerance: float = LINE_TOLERANCE,
    writer: SummaryWriter | None = None,
) -> Report:
    """Compare predictions with the truth, with the matching of the evaluation: same category, best overlap first.

    Args:
        predictions: At least one picture.
        threshold: Smallest overlap of a match, in (0, 1].
        line_tolerance: Half width of a line's tube in grid units, > 0.
        writer: What wrote the annotated summaries; None to tell its words from them.

    Raises:
        ValueError: There is no picture, or a number is out of range.
    """
    if not predictions:
        raise ValueError("no picture to judge")
    texts = [one.summary for one in predictions if one.summary is not None]
    writer = writer or find_writer(annotated for annotated, _ in texts)
    objects = DetectionMetric(threshold=threshold, line_tolerance=line_tolerance)
    pictures = tuple(
        _judge_objects(one, objects) if one.summary is None else judge_summary(one, *one.summary, writer=writer)
        for one in predictions
    )
    return Report(
        pictures,
        objects.compute() if len(texts) < len(predictions) else None,
        score_summaries(texts, writer=writer)[0],
        threshold,
        line_tolerance,
    )


@dataclass(frozen=True, slots=True)
class _Candidate:
    """An object that can be matched, its number in the row, from 1, and how sure the model was of it."""

    number: int
    item: TextObject
    labelled: Labelled
    score: float | None


def _judge_objects(prediction: Prediction, total: DetectionMetric) -> PictureReport:
    """Judge one picture and add it to the scores of all."""
    truth, _ = _candidates(prediction.truth, ())
    predicted, malformed = _candidates(prediction.predicted, prediction.scores)
    sides = [one.labelled for one in truth], [one.labelled for one in predicted]
    total.update(*sides, num_malformed=len(malformed))
    pairs = match(*sides, threshold=total.threshold, line_tolerance=total.line_tolerance).pairs
    answer = answer_of(prediction, num_malformed=len(malformed))
    matched = [j for _, j, _ in pairs]
    failures = picture_failures(*sides, answer, matched=matched, line_tolerance=total.line_tolerance)
    missed = _Judge("prediction", Outcome.MISSED, predicted, total)
    wrong = _Judge("truth", Outcome.WRONG, truth, total)
    found = {i: (predicted[j], score) for i, j, score in pairs}
    right = {j: (truth[i], score) for i, j, score in pairs}
    failed = [tuple(_of_object(failures, j)) for j in range(len(predicted))]
    numbered = malformed | {one.number: wrong.verdict(one, right.get(j), failed[j]) for j, one in enumerate(predicted)}
    size = len(prediction.truth) + len(prediction.predicted)
    return PictureReport(
        prediction,
        2 * len(pairs) / size if size else 1.0,
        truth=tuple(missed.verdict(one, found.get(i)) for i, one in enumerate(truth)),
        predicted=tuple(numbered[number] for number in sorted(numbered)),
        failures=frozenset(_of_answer(prediction, failures)).union(*failed),
    )


def _of_answer(prediction: Prediction, failures: Failures) -> Iterator[Failure]:
    held = {
        Failure.NOT_ANSWERED: prediction.error is not None,
        Failure.TRUNCATED: failures.truncated[0],
        Failure.LOOPING: failures.looping[0],
        Failure.SILENT: failures.silent[0],
        Failure.MALFORMED: failures.num_malformed[0] > 0,
        Failure.FAULTY: prediction.faults or prediction.error is not None,
    }
    return (kind for kind, holds in held.items() if holds)


def _of_object(failures: Failures, index: int) -> Iterator[Failure]:
    held = {
        Failure.DUPLICATE: failures.duplicate,
        Failure.OVERSIZE: failures.oversize,
        Failure.OUT_OF_GRID: failures.out_of_grid,
    }
    return (kind for kind, flags in held.items() if flags[index])


def _candidates(
    items: Sequence[TextObject], scores: Sequence[float | None]
) -> tuple[list[_Candidate], dict[int, Verdict]]:
    """Return the objects that make a shape, and verdicts by number on those that make none."""
    found: list[_Candidate] = []
    malformed: dict[int, Verdict] = {}
    for number, item in enumerate(items, 1):
        score = scores[number - 1] if scores else None
        try:
            shape = item.shape()
        except ValueError as error:  # a reversed or empty box, say
            malformed[number] = Verdict(item, None, Outcome.MALFORMED, str(error), score=score)
        else:
            found.append(_Candidate(number, item, Labelled(category(item.desc), shape), score))
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

    def verdict(
        self, own: _Candidate, partner: tuple[_Candidate, float] | None, failures: tuple[Failure, ...] = ()
    ) -> Verdict:
        differs, outcome = False, self.unmatched
        if partner is None:
            note = self._reason(own)
        else:
            other, value = partner
            outcome, note = Outcome.MATCHED, f"{self.side} {other.number}, overlap {value:.2f}"
            differs = own.item.desc != other.item.desc
        return Verdict(own.item, own.labelled.shape, outcome, note, differs, failures, own.score)

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
