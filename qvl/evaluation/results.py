"""A whole evaluation: scores with their intervals, and a comparison with another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qvl.evaluation.prediction import Prediction
from qvl.evaluation.scoring import Scores, score_predictions
from qvl.metrics import (
    Comparison,
    Interval,
    Kind,
    PictureCounts,
    SummaryCounts,
    bootstrap_intervals,
    paired_comparison,
)

__all__ = ["Evaluation", "Settings", "evaluate_predictions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How predictions are scored and how sure the figures are.

    Attributes:
        line_tolerance: Half the width of the tube around a line in units of the 0..1000 grid, > 0.
        average_precision: Kinds of COCO's figures.
        level: Of the intervals; a difference counts as more than chance up to a p-value of 1 - level.
        num_resamples: Samples of the bootstrap, and rounds of the randomisation.
        seed: Of both.
    """

    line_tolerance: float
    average_precision: tuple[Kind, ...] = ("boxes",)
    level: float = 0.95
    num_resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of one predictions file, or of two.

    Attributes:
        scores: Of the predictions.
        intervals: Of the figures that have one, by name.
        settings: What they were made with.
        other: Scores of the run that is compared with, None for none.
        other_intervals: Those of its figures.
        comparisons: Of the figures of both runs, by name.
    """

    scores: Scores
    intervals: Mapping[str, Interval]
    settings: Settings
    other: Scores | None
    other_intervals: Mapping[str, Interval]
    comparisons: Mapping[str, Comparison]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as values of JSON; figures by their stable names."""
        found = {"settings": asdict(self.settings), **_told(self.scores, self.intervals)}
        if self.other is None:
            return found
        compared = {name: asdict(one) for name, one in self.comparisons.items()}
        return found | {"against": _told(self.other, self.other_intervals), "comparison": compared}


def evaluate_predictions(
    predictions: Sequence[Prediction], others: Sequence[Prediction] | None = None, *, settings: Settings
) -> Evaluation:
    """Score predictions, say how sure the figures are, and compare them with those of another run.

    Args:
        predictions: At least one row.
        others: Rows about the same pictures in the same order, see `align_pictures`.
        settings: How.

    Raises:
        ValueError: A setting is not allowed.
    """
    scores = _scores(predictions, settings)
    other = None if others is None else _scores(others, settings)
    return Evaluation(
        scores,
        _intervals(scores, settings),
        settings,
        other,
        {} if other is None else _intervals(other, settings),
        {} if other is None else _comparisons(scores, other, settings),
    )


def _scores(predictions: Sequence[Prediction], settings: Settings) -> Scores:
    return score_predictions(
        predictions, line_tolerance=settings.line_tolerance, average_precision=settings.average_precision
    )


def _intervals(scores: Scores, settings: Settings) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for counts in _counts(scores).values():
        found |= bootstrap_intervals(
            counts, level=settings.level, num_samples=settings.num_resamples, seed=settings.seed
        )
    return found


def _comparisons(scores: Scores, other: Scores, settings: Settings) -> dict[str, Comparison]:
    found: dict[str, Comparison] = {}
    theirs = _counts(other)
    for kind, counts in _counts(scores).items():
        found |= paired_comparison(
            counts, theirs[kind], level=settings.level, num_samples=settings.num_resamples, seed=settings.seed
        )
    return found


def _counts(scores: Scores) -> dict[str, PictureCounts | SummaryCounts]:
    found: dict[str, PictureCounts | SummaryCounts] = {}
    if scores.detection is not None:
        found["detection"] = scores.detection.pictures
    if scores.summary is not None:
        found["summary"] = scores.summary.summaries
    return found


def _told(scores: Scores, intervals: Mapping[str, Interval]) -> dict[str, Any]:
    return {
        "counts": scores.counts(),
        "figures": scores.as_dict(),
        "intervals": {name: list(interval) for name, interval in intervals.items()},
        "categories": scores.categories(),
    }
