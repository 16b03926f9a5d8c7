"""What an evaluation found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from qvl.evaluation.prediction import Prediction
from qvl.evaluation.results import Evaluation
from qvl.metrics import Comparison, label_of

__all__ = ["tell_counts", "tell_differences", "tell_files"]

_HEADLINES: Final = ("detection/f1_50", "summary/f1")


def tell_counts(evaluation: Evaluation) -> Iterator[str]:
    """Yield what was scored, and what was not."""
    scores = evaluation.scores
    told = [f"{scores.num_pictures} pictures"]
    if found := scores.detection:
        told.append(
            f"{found.num_truth} objects annotated, {found.num_predicted} predicted, {found.num_matched} matched at 0.5"
        )
    if scores.summary is not None:
        told.append(f"{scores.summary.num_summaries} summaries")
    yield "; ".join(told)
    sides = (("", scores), ("the other run: ", evaluation.other))
    for whose, side in sides:
        if side is not None and side.num_errors:
            yield f"{whose}{side.num_errors} pictures were not answered and count as answers without an object"
    if scores.num_unscored:
        yield f"{scores.num_unscored} annotated summaries are free text, no list of facts: they are in no score"


def tell_files(predictions: Sequence[Prediction], others: Sequence[Prediction] | None) -> Iterator[str]:
    """Yield which file is this run and which the other one, where there are two."""
    if others is not None:
        yield f"this: {predictions[0].where.file}"
        yield f"other: {others[0].where.file}"


def tell_differences(evaluation: Evaluation) -> Iterator[str]:
    """Yield for each headline whether the difference between the two runs is more than chance."""
    for name in _HEADLINES:
        if name in evaluation.comparisons:
            yield _difference(label_of(name), evaluation.comparisons[name], evaluation.settings.level)


def _difference(label: str, found: Comparison, level: float) -> str:
    counts = f"{found.num_better} pictures are better, {found.num_worse} worse, {found.num_equal} equal."
    if not (found.num_better or found.num_worse):
        return f"{label}: no picture differs between the two runs."
    low, high = found.interval
    size = f"{found.difference:+.3f} ({level:.0%} interval {low:+.3f} to {high:+.3f})"
    if found.p_value <= 1 - level + 1e-12:
        better = "better" if found.difference > 0 else "worse"
        return (
            f"{label}: this run is {better}, {size}. Two equally good runs would differ as much in only "
            f"{_share(found.p_value)} of cases, so the difference is hardly chance. {counts}"
        )
    return (
        f"{label}: neither run is shown to be better, {size}. Two equally good runs would differ as much in "
        f"{_share(found.p_value)} of cases, so the difference may be chance; more pictures would tell. {counts}"
    )


def _share(p_value: float) -> str:
    return f"{p_value:.0%}" if p_value >= 0.1 else f"{p_value:.1%}"
