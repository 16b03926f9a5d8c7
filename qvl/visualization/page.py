"""Predictions beside the truth, as a gallery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from qvl.visualization.card import Card
from qvl.visualization.gallery import Layout
from qvl.visualization.prediction_card import ORDERS, failure_of, prediction_cards
from qvl.visualization.prediction_lead import prediction_lead
from qvl.visualization.verdicts import PictureReport, Report

__all__ = ["EvaluationPage", "evaluation_page", "prediction_layout"]

_NAMES: Final = ("this", "other")


@dataclass(frozen=True, slots=True)
class EvaluationPage:
    """What `write_gallery` takes.

    Attributes:
        cards: Made one at a time, while they are written.
        layout: The rest of the page.
        total: Number of cards.
        missing: A line for each picture that could not be shown; known once the cards are written.
    """

    cards: Iterator[Card]
    layout: Layout
    total: int
    missing: list[str]


def evaluation_page(
    report: Report,
    *,
    title: str,
    other: Report | None = None,
    names: tuple[str, str] = _NAMES,
    lead_html: str = "",
    num_samples: int | None = None,
) -> EvaluationPage:
    """Return the gallery of an evaluation, the worst pictures first; one that cannot be shown is a card with a note.

    Args:
        report: All pictures.
        title: Name of the predictions.
        other: Another run to compare with, about the same pictures in the same order; the worst pictures are then those
            that lose most F1 against it.
        names: Of this run and of the other one.
        lead_html: HTML behind the headline figures; every text in it went through an escape.
        num_samples: Most pictures; None for all.

    Raises:
        ValueError: The other report is about other pictures.
    """
    compared = report if other is None else report.beside(other)
    shown = compared.select(num_samples, worst_first=True)
    missing: list[str] = []
    return EvaluationPage(
        prediction_cards(shown, names=names, missing=missing),
        prediction_layout(compared, shown, title=title, other=other, names=names, lead_html=lead_html),
        len(shown),
        missing,
    )


def prediction_layout(
    report: Report,
    pictures: Sequence[PictureReport],
    *,
    title: str,
    other: Report | None = None,
    names: tuple[str, str] = _NAMES,
    lead_html: str = "",
) -> Layout:
    """Return what a gallery of predictions has besides its cards.

    Args:
        report: All pictures; the scores at the top are over all of them.
        pictures: Those to show, in this order.
        title: Name of the predictions.
        other: Another run, whose scores stand beside these.
        names: Of this run and of the other one.
        lead_html: HTML behind the headline figures; every text in it went through an escape.
    """
    has_scores = any(picture.lowest_score is not None for picture in pictures)
    left_out = {"lowest score": not has_scores, "F1 difference": other is None}
    return Layout(
        title,
        lead=prediction_lead(report, pictures, other=other, name=names[1], further=lead_html),
        item_facets=("outcome", "category", "shape", *(() if other is None else ("found by",))),
        card_facets=("failure", "fault", *(() if other is None else (failure_of(names[1]),))),
        orders=tuple(name for name in ORDERS if not left_out.get(name, False)),
    )
