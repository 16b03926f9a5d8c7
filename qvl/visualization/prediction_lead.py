"""What stands above a gallery of predictions: figures, tables, and a link to each picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from qvl.metrics import CategoryResult
from qvl.visualization.drawing import readable_on
from qvl.visualization.markup import escape, table, tile
from qvl.visualization.prediction_panels import COLORS
from qvl.visualization.verdicts import Failure, Outcome, PictureReport, Report

__all__ = ["prediction_lead"]

_MEANING: Final = {
    Outcome.MATCHED: "found: same category, enough overlap",
    Outcome.MISSED: "annotated, not found",
    Outcome.WRONG: "predicted, not there",
    Outcome.MALFORMED: "predicted, no possible shape",
}


def prediction_lead(
    report: Report, pictures: Sequence[PictureReport], *, other: Report | None, name: str, further: str
) -> str:
    """Return what stands above the cards: figures, tables, and a link to each card.

    Args:
        report: All pictures.
        pictures: Those that have a card.
        other: Another run, whose figures stand beside these.
        name: Of the other run.
        further: HTML behind the headline figures.
    """
    rule = "A fact of a summary is right as often as it is both annotated and said."
    if report.scores is not None:
        rule = (
            "A prediction matches an annotated object of the same category from an overlap of "
            f"{report.threshold:g} on; for lines that is the overlap of tubes of half width "
            f"{report.line_tolerance:g} on the 0..1000 grid."
        )
    return f"""\
<p class="tiles">{"".join(_tiles(report, other, name))}</p>
{further}
<p>{rule}</p>
<p class="legend">{"".join(_legend())}</p>
<div class="tables">{_categories(report, other, name)}{_failures(report, other, name)}{_faults(report)}</div>
{_index(report, pictures)}"""


def _tiles(report: Report, other: Report | None, name: str) -> Iterator[str]:
    theirs = {} if other is None else {label: value for label, value, _ in _figures(other)}
    for label, value, remark in _figures(report):
        shown = "-" if value is None else f"{value:.3f}"
        against = theirs.get(label)
        if against is not None and value is not None:
            remark = f"{name} {against:.3f} ({value - against:+.3f})"
        yield tile(label, shown, remark)


def _figures(report: Report) -> Iterator[tuple[str, float | None, str]]:
    """Yield (name, figure, remark) of what stands at the top."""
    if (scores := report.scores) is not None:
        matched = [verdict for picture in report.pictures for verdict in picture.truth]
        matched = [verdict for verdict in matched if verdict.outcome is Outcome.MATCHED]
        same = sum(not verdict.desc_differs for verdict in matched)
        yield "F1", scores.f1, f"{scores.num_matched} matched"
        yield "precision", scores.precision, f"of {scores.num_predicted} predicted"
        yield "recall", scores.recall, f"of {scores.num_truth} annotated"
        yield "same description", same / len(matched) if matched else None, f"{same} of {len(matched)} matched"
    if (summary := report.summary) is not None:
        yield "F1 of summaries", summary.f1, f"of {summary.num_summaries} summaries"
        yield "summaries word for word", summary.exact_match, f"of {summary.num_summaries} summaries"
    total = len(report.pictures)
    sound = sum(Failure.FAULTY not in picture.failures for picture in report.pictures)
    yield "answers without a fault", sound / total, f"{sound} of {total} pictures"


def _legend() -> Iterator[str]:
    for outcome, meaning in _MEANING.items():
        color = COLORS[outcome]
        chip = (
            f'<button type="button" class="chip" data-select="f0" value="{outcome.value}" '
            f'style="--c:{color};--on:{readable_on(color)}">{outcome.value}</button>'
        )
        yield f"<span>{chip} {meaning}</span>"


def _categories(report: Report, other: Report | None, name: str) -> str:
    """Return the scores by category, the worst one first; beside another run with its F1."""
    head = ("category", "F1", *_beside(other, f"F1 {name}"), "precision", "recall", "annotated", "predicted", "matched")
    theirs = {} if other is None else other.per_category
    found = []
    for caption, results in report.per_category.items():
        others = theirs.get(caption, {})
        rows = sorted(results.items(), key=lambda pair: (pair[1].f1, pair[0]))
        cells = [[key, f"{one.f1:.3f}", *_beside(other, _f1(others.get(key))), *_cells(one)] for key, one in rows]
        found.append(table(caption, head, cells))
    return "".join(found)


def _beside(other: Report | None, text: str) -> list[str]:
    return [] if other is None else [text]


def _f1(result: CategoryResult | None) -> str:
    return "-" if result is None else f"{result.f1:.3f}"


def _cells(result: CategoryResult) -> list[str]:
    counts = (result.num_truth, result.num_predicted, result.num_matched)
    return [f"{result.precision:.3f}", f"{result.recall:.3f}", *map(str, counts)]


def _failures(report: Report, other: Report | None, name: str) -> str:
    """Count the pictures whose answer fails, by kind."""
    counts, theirs = _count_failures(report), Counter[Failure]() if other is None else _count_failures(other)
    kinds = [kind for kind in Failure if counts[kind] or theirs[kind]]
    rows = [[kind.value, str(counts[kind]), *_beside(other, str(theirs[kind]))] for kind in kinds]
    return table("Failures", ("kind", "pictures", *_beside(other, name)), rows or [["none", "0", *_beside(other, "0")]])


def _count_failures(report: Report) -> Counter[Failure]:
    return Counter(kind for picture in report.pictures for kind in picture.failures)


def _faults(report: Report) -> str:
    """Count the pictures whose answer has a fault, by its code."""
    codes = Counter(code for picture in report.pictures for code in {one.code for one in picture.prediction.faults})
    rows = [[code, str(count)] for code, count in codes.most_common()]
    return table("Faults of the text", ("fault", "pictures"), rows) if rows else ""


def _index(report: Report, pictures: Sequence[PictureReport]) -> str:
    links = "".join(_link(number, picture) for number, picture in enumerate(pictures, 1))
    return f"<h2>{len(pictures)} of {len(report.pictures)} pictures, with their F1</h2>\n<nav>{links}</nav>"


def _link(number: int, picture: PictureReport) -> str:
    told = f"{picture.f1:.2f}" if picture.other is None else f"{picture.f1:.2f} ({picture.f1_difference:+.2f})"
    return f'<a href="#p{number}" style="--f1:{picture.f1:.3f}">{number}<small>{escape(told)}</small></a>'
