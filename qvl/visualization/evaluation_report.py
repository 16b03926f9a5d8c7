"""The page of an evaluation: its table, and the worst pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qvl.errors import listed
from qvl.evaluation import Evaluation, Prediction, score_table, tell_counts, tell_differences, tell_files
from qvl.visualization.judging import judge
from qvl.visualization.markup import escape, table
from qvl.visualization.page import evaluation_page
from qvl.visualization.writing import write_gallery

__all__ = ["write_evaluation"]


def write_evaluation(
    page: Path,
    evaluation: Evaluation,
    predictions: Sequence[Prediction],
    others: Sequence[Prediction] | None,
    *,
    line_tolerance: float,
    num_samples: int,
) -> list[str]:
    """Write a page and return lines that tell of it.

    Args:
        page: Where to, ends with `.html`.
        evaluation: What came of the predictions.
        predictions: At least one.
        others: Those of another run about the same pictures, in the same order.
        line_tolerance: Half the width of the tube around a line in units of the 0..1000 grid, > 0.
        num_samples: Most pictures to show, the worst first.

    Raises:
        OSError: The page cannot be written.
    """
    gallery = evaluation_page(
        judge(predictions, line_tolerance=line_tolerance),
        title="/".join(Path(predictions[0].where.file).absolute().parts[-2:]),
        other=None if others is None else judge(others, line_tolerance=line_tolerance),
        lead_html=_lead(evaluation, predictions, others),
        num_samples=num_samples,
    )
    told = write_gallery(gallery.cards, gallery.layout, page, total=gallery.total)
    return [*told, listed(gallery.missing)] if gallery.missing else told


def _lead(evaluation: Evaluation, predictions: Sequence[Prediction], others: Sequence[Prediction] | None) -> str:
    blocks = [tell_files(predictions, others), tell_counts(evaluation), tell_differences(evaluation)]
    lines = ["<br>".join(map(escape, block)) for block in blocks]
    scores = score_table(evaluation)
    return "".join(f"<p>{line}</p>\n" for line in lines if line) + table(scores.caption, scores.head, scores.rows)
