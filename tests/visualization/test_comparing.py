"""Two runs about the same pictures: beside each other, the greatest loss first."""

from __future__ import annotations

import pytest

from qvl.conversation import Fault, TextObject
from qvl.evaluation import Prediction
from qvl.records import Source
from qvl.visualization import Card, EvaluationPage, evaluation_page, judge

A = TextObject("psu", "bbox_2d", (100, 100, 200, 200))
B = TextObject("psu", "bbox_2d", (500, 500, 700, 700))
C = TextObject("cable", "line", (10, 10, 900, 900))


def row(number: int, *predicted: TextObject, truth: tuple[TextObject, ...] = (A, B, C), error: str = "") -> Prediction:
    faults = (Fault("not_answered", "picture", error),) if error else ()
    where, image = Source("p.jsonl", number), f"{number}.png"
    reason = "error" if error else "stop"
    return Prediction(where, image, "a", 40, 30, truth, predicted, faults, "", reason, error=error or None)


def compared(rows: list[Prediction], others: list[Prediction]) -> tuple[EvaluationPage, list[Card]]:
    page = evaluation_page(judge(rows), title="run", other=judge(others), lead_html="<p>told</p>")
    return page, list(page.cards)


def test_the_picture_that_loses_most_comes_first() -> None:
    rows = [row(1, A), row(2), row(3, A, B, C), row(4, A)]
    others = [row(1, A), row(2, A), row(3, A), row(4, A, B, C)]
    page, cards = compared(rows, others)
    assert [card.name for card in cards] == ["2.png", "4.png", "1.png", "3.png"]
    assert [card.orders["F1 difference"] for card in cards] == pytest.approx([-0.5, -0.5, 0.0, 0.5])
    assert [card.heading for card in cards[:2]] == ["F1 0.00, other 0.50", "F1 0.50, other 1.00"]
    assert "F1 difference" in page.layout.orders
    assert "<p>told</p>" in page.layout.lead
    assert "0.588</b>F1<small>other 0.667 (-0.078)" in page.layout.lead


def test_three_panels_tell_who_found_what_also_with_the_truth_in_another_order() -> None:
    _, (card,) = compared([row(1, A, C)], [row(1, B, C, truth=(C, B, A))])
    assert [panel.heading for panel in card.panels] == ["Truth", "this", "other"]
    assert [panel.remark for panel in card.panels] == ["2 of 3 found", "2 of 2 right", "2 of 2 right"]
    assert [item.facets["found by"] for item in card.panels[0].items] == ["only this", "only other", "both"]
    assert [item.stress for item in card.panels[0].items] == ["found by only this", "found by only other", ""]


def test_the_failures_of_both_runs_can_be_asked_for() -> None:
    page, (card,) = compared([row(1, A, A)], [row(1)])
    assert card.facets["failure"] == ["duplicate", "picture not shown"]
    assert card.facets["failure of other"] == ["silent"]
    assert page.layout.card_facets == ("failure", "fault", "failure of other")
    assert card.panels[2].remark == "0 of 0 right, silent"


@pytest.mark.parametrize("others", [[], [row(2)], [row(1, truth=(A,))]])
def test_other_pictures_are_refused(others: list[Prediction]) -> None:
    report = judge([row(1)])
    other = judge(others or [row(1), row(2)])
    with pytest.raises(ValueError, match=r"cannot be compared|not about the same picture"):
        report.beside(other)


def test_the_file_of_a_picture_that_no_run_answered_is_not_looked_for() -> None:
    page, (card,) = compared([row(1, error="gone")], [row(1, A)])
    assert len(page.missing) == 1
    assert card.stress == ["not answered", "silent", "fault of the text"]
    page, _ = compared([row(1, error="gone")], [row(1, error="gone")])
    assert page.missing == []


def test_a_picture_that_is_gone_is_a_card_with_a_note() -> None:
    gone = row(1, A)
    page = evaluation_page(judge([gone, row(2, B)]), title="run", num_samples=1)
    (card,) = page.cards
    assert page.total == 1
    assert page.missing == ["p.jsonl:1: image: 1.png: there is no such picture"]
    assert card.faults[0] == ("not shown", "picture", page.missing[0])
    assert card.facets["failure"] == ["picture not shown"]
    image = card.panels[0].image
    assert image is not None
    assert image.width / image.height == pytest.approx(40 / 30)
    assert [panel.heading for panel in card.panels] == ["Truth", "Prediction"]
    assert len(card.panels[0].items) == 3
