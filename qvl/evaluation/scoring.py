"""Predictions to scores: objects and summaries, by the same rules in training and afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from qvl.conversation import SummaryWriter, TextObject
from qvl.evaluation.prediction import Prediction
from qvl.evaluation.summary_words import find_writer
from qvl.metrics import (
    Answer,
    DetectionReport,
    Kind,
    Labelled,
    ReportMetric,
    SummaryMetric,
    SummaryResult,
    read_summary,
)
from qvl.records import category

__all__ = ["Scores", "answer_of", "score_predictions", "score_summaries"]

NOT_ANSWERED = "not_answered"


@dataclass(frozen=True, slots=True)
class Scores:
    """What predictions are worth.

    Attributes:
        detection: Of the rows about objects, None if there are none.
        summary: Of the rows about summaries, None if there are none.
        num_pictures: All rows.
        num_errors: Rows of pictures that were not answered; they count as silent.
        num_unscored: Rows whose annotated summary is free text, no list of facts; they are in no score.
    """

    detection: DetectionReport | None
    summary: SummaryResult | None
    num_pictures: int
    num_errors: int
    num_unscored: int = 0

    def as_dict(self, *, per_category: bool = False) -> dict[str, float]:
        """Return the figures by stable names, `detection/...` and `summary/...`.

        Args:
            per_category: Whether `detection/category/<name>/f1_50` and the like are among them.
        """
        detection = {} if self.detection is None else self.detection.as_dict(per_category=per_category)
        return detection | ({} if self.summary is None else self.summary.as_dict())

    def counts(self) -> dict[str, int]:
        """Return how much was scored, by name."""
        found = {"pictures": self.num_pictures, "not_answered": self.num_errors}
        if self.detection is not None:
            found |= {
                "objects_annotated": self.detection.num_truth,
                "objects_predicted": self.detection.num_predicted,
                "objects_matched": self.detection.num_matched,
            }
        if self.summary is not None:
            found["summaries"] = self.summary.num_summaries
        return found | ({"summaries_unscored": self.num_unscored} if self.num_unscored else {})

    def categories(self) -> dict[str, dict[str, dict[str, float]]]:
        """Return the figures of each category under `detection`, at 0.50, and those of its facts under `summary`."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for kind, result in (("detection", self.detection), ("summary", self.summary)):
            if result is not None:
                found[kind] = {name: asdict(one) for name, one in result.per_category.items()}
        if self.detection is not None:
            for name, error in self.detection.counts.per_category.items():
                found["detection"][name]["count_error"] = error
            for part, precision in self.detection.average_precision.items():
                for name, value in precision.per_category.items():
                    found["detection"][name][f"ap_{part}"] = value
        return found


def score_predictions(
    predictions: Iterable[Prediction],
    *,
    line_tolerance: float,
    average_precision: Sequence[Kind] = ("boxes",),
    writer: SummaryWriter | None = None,
) -> Scores:
    """Score predictions against the truth that they carry.

    An object without a possible shape counts as malformed. A picture that was not answered counts as one about which
    the model said nothing, with the fault `not_answered`. How sure the model was orders the objects in average
    precision if that is known of every object; otherwise all count the same.

    Args:
        predictions: Rows about objects, summaries or both.
        line_tolerance: Half the width of the tube around a line in units of the 0..1000 grid, > 0.
        average_precision: Kinds of COCO's figures, see `qvl.metrics.Kind`.
        writer: What wrote the annotated summaries; None to tell its words from them.

    Raises:
        ValueError: A setting is not allowed.
    """
    rows = list(predictions)
    objects = [row for row in rows if row.summary is None]
    texts = [row.summary for row in rows if row.summary is not None]
    summary, num_unscored = score_summaries(texts, writer=writer or find_writer(annotated for annotated, _ in texts))
    return Scores(
        detection=_score_objects(objects, line_tolerance, average_precision) if objects else None,
        summary=summary,
        num_pictures=len(rows),
        num_errors=sum(row.error is not None for row in rows),
        num_unscored=num_unscored,
    )


def _score_objects(rows: Sequence[Prediction], line_tolerance: float, kinds: Sequence[Kind]) -> DetectionReport:
    metric = ReportMetric(line_tolerance=line_tolerance, average_precision=kinds)
    is_scored = all(len(row.scores) == len(row.predicted) and None not in row.scores for row in rows)
    for row in rows:
        truth = _labelled(row.truth, ())
        predicted = _labelled(row.predicted, row.scores if is_scored else ())
        metric.update(truth, predicted, answer_of(row, num_malformed=len(row.predicted) - len(predicted)))
    return metric.compute()


def _labelled(items: Sequence[TextObject], scores: Sequence[float | None]) -> list[Labelled]:
    """Return the objects that have a possible shape."""
    found = []
    for number, item in enumerate(items):
        try:
            shape = item.shape()
        except ValueError:  # a reversed or empty box; the caller counts it as malformed
            continue
        score = scores[number] if scores else None
        found.append(Labelled(category(item.desc), shape, item.desc, 1.0 if score is None else score))
    return found


def answer_of(row: Prediction, *, num_malformed: int) -> Answer:
    """Return what is known of the answer in a row besides its objects.

    Args:
        row: What was said about a picture; one that was not answered has the fault `not_answered`.
        num_malformed: Its predicted objects without a possible shape.
    """
    codes = [fault.code for fault in row.faults]
    if row.error is not None and NOT_ANSWERED not in codes:
        codes.append(NOT_ANSWERED)
    return Answer(num_malformed, codes, is_truncated=row.finish_reason == "length", text=row.completion)


def score_summaries(texts: Sequence[tuple[str, str]], *, writer: SummaryWriter) -> tuple[SummaryResult | None, int]:
    """Return the scores of (annotated, said), and how many annotated texts are no list of facts and so in no score.

    Args:
        texts: Any number; without a list of facts among them there are no scores.
        writer: What wrote the annotated ones.
    """
    metric = SummaryMetric(writer=writer)
    scored = [pair for pair in texts if read_summary(pair[0], writer=writer) is not None]
    for annotated, said in scored:
        metric.update(annotated, said)
    return (metric.compute() if scored else None), len(texts) - len(scored)
