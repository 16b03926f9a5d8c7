"""What an evaluation found, as tables of short texts: for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qvl.evaluation.results import Evaluation
from qvl.evaluation.scoring import Scores
from qvl.metrics import HEADLINE, Interval, label_of

__all__ = ["Table", "category_tables", "failure_table", "score_table"]

_SCORES: Final = (
    *(name for name in HEADLINE if name != "loss" and "rate_" not in name),
    "detection/ap_boxes",
    "detection/ap_masks",
    "detection/attribute_accuracy",
)
_OF_OBJECTS: Final = ("malformed", "duplicate", "oversize", "out_of_grid")
_UNREADABLE: Final = "summary/unreadable"  # what `summary/readable` leaves


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts; the first column names the row, the others are numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def score_table(evaluation: Evaluation) -> Table:
    """Return the headline figures with their intervals; beside another run with difference and p-value."""
    figures = evaluation.scores.as_dict()
    names = [name for name in _SCORES if name in figures]
    interval = f"{evaluation.settings.level:.0%} interval"
    if evaluation.other is None:
        rows = [[label_of(name), _number(figures[name]), _range(evaluation.intervals.get(name))] for name in names]
        return Table("scores", ["score", "value", interval], rows)
    theirs = evaluation.other.as_dict()
    rows = [[label_of(name), _number(figures[name]), *_compared(evaluation, name, figures, theirs)] for name in names]
    return Table("scores", ["score", "this", "other", "difference", interval, "p"], rows)


def failure_table(evaluation: Evaluation) -> Table | None:
    """Return the failures that occur, the most frequent first, those of the text by their code; None if none does."""
    sides = [scores for scores in (evaluation.scores, evaluation.other) if scores is not None]
    rates = [dict(_failures(scores)) for scores in sides]
    names = sorted(
        {name for side in rates for name, share in side.items() if share}, key=lambda name: _rank(name, rates)
    )
    if not names:
        return None
    head = ["failures", *(("this", "other") if len(sides) == 2 else ("share",)), "of"]
    rows = [
        [
            _label(name),
            *(f"{side.get(name, 0.0):.1%}" for side in rates),
            "objects" if _is_of_objects(name) else "answers",
        ]
        for name in names
    ]
    return Table("failures", head, rows)


def category_tables(evaluation: Evaluation) -> list[Table]:
    """Return the scores of the categories, the worst first; beside another run the ones that lost most."""
    mine = evaluation.scores.categories()
    theirs = {} if evaluation.other is None else evaluation.other.categories()
    found = []
    for kind, title in (("detection", "category"), ("summary", "facts about")):
        if not mine.get(kind):
            continue
        if evaluation.other is None:
            found.append(_alone(title, mine[kind]))
        else:
            found.append(_beside(title, mine[kind], theirs.get(kind, {})))
    return found


def _compared(evaluation: Evaluation, name: str, mine: dict[str, float], theirs: dict[str, float]) -> list[str]:
    other = _number(theirs[name]) if name in theirs else "-"
    comparison = evaluation.comparisons.get(name)
    if comparison is None:
        return [other, f"{mine[name] - theirs[name]:+.3f}" if name in theirs else "-", "", ""]
    low, high = comparison.interval
    return [other, f"{comparison.difference:+.3f}", f"{low:+.3f} to {high:+.3f}", _chance(comparison.p_value)]


def _chance(p_value: float) -> str:
    return f"{p_value:.3f}" if p_value >= 0.0005 else "<0.001"


def _number(value: float) -> str:
    return f"{value:.3f}"


def _range(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def _failures(scores: Scores) -> Iterator[tuple[str, float]]:
    for name, value in scores.as_dict().items():
        if name.startswith(("detection/rate_", "detection/fault/")):
            yield name, value
        elif name == "summary/readable":
            yield _UNREADABLE, 1.0 - value


def _label(name: str) -> str:
    return "summaries that cannot be read" if name == _UNREADABLE else label_of(name)


def _is_of_objects(name: str) -> bool:
    return name.removeprefix("detection/rate_") in _OF_OBJECTS


def _rank(name: str, rates: Sequence[dict[str, float]]) -> tuple[bool, float, str]:
    return name.startswith("detection/fault/"), -max(side.get(name, 0.0) for side in rates), name


def _alone(title: str, categories: dict[str, dict[str, float]]) -> Table:
    ranked = sorted(categories.items(), key=lambda pair: (pair[1]["f1"], -pair[1]["num_truth"], pair[0]))
    rows = [
        [
            name,
            *(_number(one[key]) for key in ("f1", "precision", "recall")),
            *(f"{one[key]:.0f}" for key in ("num_truth", "num_predicted", "num_matched")),
        ]
        for name, one in ranked
    ]
    return Table("categories", [title, "F1", "precision", "recall", "annotated", "predicted", "matched"], rows)


def _beside(title: str, mine: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]) -> Table:
    def gap(name: str) -> float:
        return _f1(mine, name) - _f1(theirs, name)

    names = sorted({*mine, *theirs}, key=lambda name: (gap(name), name))
    rows = [
        [
            name,
            _number(_f1(mine, name)),
            _number(_f1(theirs, name)),
            f"{gap(name):+.3f}",
            f"{(mine.get(name) or theirs[name])['num_truth']:.0f}",
        ]
        for name in names
    ]
    return Table("categories", [title, "F1 this", "F1 other", "difference", "annotated"], rows)


def _f1(categories: dict[str, dict[str, float]], name: str) -> float:
    return categories[name]["f1"] if name in categories else 0.0
