"""Predictions beside the truth, as a gallery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from PIL import Image

from qvl.errors import RecordError
from qvl.metrics import CategoryResult
from qvl.records import category
from qvl.runtime import open_image
from qvl.visualization.card import Card, Item, Panel, list_numbers, shorten_label
from qvl.visualization.drawing import readable_on
from qvl.visualization.gallery import Layout
from qvl.visualization.markup import table, tile
from qvl.visualization.predictions import Prediction
from qvl.visualization.verdicts import Outcome, PictureReport, Report, Verdict

__all__ = ["prediction_cards", "prediction_layout"]

GRID = (1000.0, 1000.0)

COLORS: Final = {
    Outcome.MATCHED: "#009e73",
    Outcome.MISSED: "#ffd000",
    Outcome.WRONG: "#d4267d",
    Outcome.MALFORMED: "#6b7280",
}
"""Told apart also by eyes that do not see red and green as different."""

_MEANING: Final = {
    Outcome.MATCHED: "found: same category, enough overlap",
    Outcome.MISSED: "annotated, not found",
    Outcome.WRONG: "predicted, not there",
    Outcome.MALFORMED: "predicted, no possible shape",
}
_CUT_OFF: Final = "cut off by the limit of tokens"


def prediction_layout(report: Report, pictures: Sequence[PictureReport], *, title: str) -> Layout:
    """Return what a gallery of predictions has besides its cards.

    Args:
        report: All pictures; the scores at the top are over all of them.
        pictures: Those to show, in this order.
        title: Name of the predictions.
    """
    return Layout(
        title,
        lead=_lead(report, pictures),
        item_facets=("outcome", "category", "shape"),
        card_facets=("fault",),
        orders=("F1", "errors", "objects"),
    )


def prediction_cards(pictures: Sequence[PictureReport]) -> Iterator[Card]:
    """Yield a card of each picture: its truth, and what was predicted.

    Raises:
        RecordError: A picture cannot be opened or has another size than its row says; with file and line.
    """
    for picture in pictures:
        prediction, scores = picture.prediction, picture.scores
        image = _open(prediction)
        found, right = (
            f"{scores.num_matched} of {scores.num_truth} found",
            (f"{scores.num_matched} of {scores.num_predicted} right"),
        )
        yield Card(
            heading=f"F1 {scores.f1:.2f}",
            name=PurePath(prediction.image).name,
            origin=f"{prediction.source}, {prediction.width} x {prediction.height} pixels; {prediction.where}",
            panels=(
                Panel("Truth", found, image, GRID, [_item(verdict) for verdict in picture.truth]),
                Panel("Prediction", right, image, GRID, [_item(verdict) for verdict in picture.predicted]),
            ),
            faults=[(fault.code, fault.where, fault.message) for fault in prediction.faults],
            texts=[_answer(prediction)],
            facets={"fault": sorted(_fault_kinds(picture)) or ["none"]},
            orders={
                "F1": scores.f1,
                "errors": picture.num_errors,
                "objects": len(picture.truth) + len(picture.predicted),
            },
        )


def _lead(report: Report, pictures: Sequence[PictureReport]) -> str:
    return f"""\
<p class="tiles">{"".join(_tiles(report))}</p>
<p>A prediction matches an annotated object of the same category from an overlap of {report.threshold:g} on; \
for lines that is the overlap of tubes of half width {report.line_tolerance:g} on the 0..1000 grid.</p>
<p class="legend">{"".join(_legend())}</p>
<div class="tables">{_categories(report)}{_faults(report)}</div>
{_index(report, pictures)}"""


def _tiles(report: Report) -> Iterator[str]:
    scores, total = report.scores, report.scores.num_images
    sound = sum(not picture.prediction.faults for picture in report.pictures)
    found = [verdict for picture in report.pictures for verdict in picture.truth]
    matched = [verdict for verdict in found if verdict.outcome is Outcome.MATCHED]
    same = sum(not verdict.desc_differs for verdict in matched)
    yield tile("F1", f"{scores.f1:.3f}", f"{scores.num_matched} matched")
    yield tile("precision", f"{scores.precision:.3f}", f"of {scores.num_predicted} predicted")
    yield tile("recall", f"{scores.recall:.3f}", f"of {scores.num_truth} annotated")
    yield tile("answers without a fault", f"{sound / total:.3f}", f"{sound} of {total} pictures")
    share = f"{same / len(matched):.3f}" if matched else "-"
    yield tile("same description", share, f"{same} of {len(matched)} matched")


def _legend() -> Iterator[str]:
    for outcome, meaning in _MEANING.items():
        color = COLORS[outcome]
        chip = (
            f'<button type="button" class="chip" data-select="f0" value="{outcome.value}" '
            f'style="--c:{color};--on:{readable_on(color)}">{outcome.value}</button>'
        )
        yield f"<span>{chip} {meaning}</span>"


def _categories(report: Report) -> str:
    rows = sorted(report.scores.per_category.items(), key=lambda pair: (pair[1].f1, pair[0]))
    head = ("category", "F1", "precision", "recall", "annotated", "predicted", "matched")
    return table("Categories", head, [_category_cells(name, result) for name, result in rows])


def _category_cells(name: str, result: CategoryResult) -> list[str]:
    scores = [f"{score:.3f}" for score in (result.f1, result.precision, result.recall)]
    return [name, *scores, *map(str, (result.num_truth, result.num_predicted, result.num_matched))]


def _faults(report: Report) -> str:
    """Count the pictures whose answer has a fault, by kind."""
    kinds = Counter(kind for picture in report.pictures for kind in _fault_kinds(picture))
    rows = [[kind, str(count)] for kind, count in kinds.most_common()]
    return table("Faults of the answers", ("fault", "pictures"), rows or [["none", "0"]])


def _fault_kinds(picture: PictureReport) -> set[str]:
    kinds = {fault.code for fault in picture.prediction.faults}
    kinds |= {_CUT_OFF} if picture.prediction.finish_reason == "length" else set()
    is_malformed = any(verdict.outcome is Outcome.MALFORMED for verdict in picture.predicted)
    return kinds | ({"an object without a possible shape"} if is_malformed else set())


def _index(report: Report, pictures: Sequence[PictureReport]) -> str:
    links = "".join(
        f'<a href="#p{number}" style="--f1:{picture.scores.f1:.3f}">{number}<small>{picture.scores.f1:.2f}</small></a>'
        for number, picture in enumerate(pictures, 1)
    )
    return f"<h2>{len(pictures)} of {len(report.pictures)} pictures, with their F1</h2>\n<nav>{links}</nav>"


def _item(verdict: Verdict) -> Item:
    item, outcome = verdict.item, verdict.outcome
    name = category(item.desc)
    return Item(
        desc=item.desc,
        name=shorten_label(name),
        color=COLORS[outcome],
        shape=verdict.shape,
        note=f"{outcome.value}: {verdict.note}",
        stress="other description" if verdict.desc_differs else "",
        numbers=list_numbers(item.key, item.numbers),
        facets={"outcome": outcome.value, "category": name, "shape": item.key},
    )


def _answer(prediction: Prediction) -> tuple[str, str]:
    ending = f" ({_CUT_OFF})" if prediction.finish_reason == "length" else ""
    return f"the answer as the model wrote it{ending}", prediction.completion


def _open(prediction: Prediction) -> Image.Image:
    """Open the picture of a row."""
    try:
        image = open_image(prediction.image)
    except RecordError as error:
        raise RecordError(f"{prediction.where}: image: {error}") from error
    if image.size != (prediction.width, prediction.height):
        raise RecordError(
            f"{prediction.where}: image: {prediction.image} has {image.width} x {image.height} pixels, "
            f"the row says {prediction.width} x {prediction.height}; was the picture replaced?"
        )
    return image
