"""Panels of predictions: the truth, what a model said, and beside it what another one said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from PIL import Image

from qvl.conversation import TextObject
from qvl.records import category
from qvl.visualization.card import Item, Panel, list_numbers, shorten_label
from qvl.visualization.verdicts import FactVerdict, Outcome, PictureReport, Verdict

__all__ = ["COLORS", "prediction_panels", "runs"]

COLORS: Final = {
    Outcome.MATCHED: "#009e73",
    Outcome.MISSED: "#ffd000",
    Outcome.WRONG: "#d4267d",
    Outcome.MALFORMED: "#6b7280",
}
"""Told apart also by eyes that do not see red and green as different."""

_GRID: Final = (1000.0, 1000.0)


def prediction_panels(picture: PictureReport, image: Image.Image, names: tuple[str, str]) -> Iterator[Panel]:
    """Yield the truth, then what each run said; of a summary the picture first, then the texts with their facts.

    Args:
        picture: Its verdicts.
        image: What the shapes are drawn on.
        names: Of the run and of the other one.
    """
    if picture.prediction.summary is not None:
        yield from _summary_panels(picture, image, names)
        return
    found = f"{picture.num_matched} of {picture.num_true} found"
    yield Panel("Truth", found, image, _GRID, list(_true_items(picture, names)))
    for one, name in runs(picture, names):
        right = f"{one.num_matched} of {one.num_said} right"
        yield Panel(
            name, _with_failures(right, one, picture), image, _GRID, [_item(verdict) for verdict in one.predicted]
        )


def runs(picture: PictureReport, names: tuple[str, str]) -> Iterator[tuple[PictureReport, str]]:
    """Yield the picture in this run and in the other one, if there is one, each with the name of the run."""
    yield picture, "Prediction" if picture.other is None else names[0]
    if picture.other is not None:
        yield picture.other, names[1]


def _with_failures(text: str, one: PictureReport, picture: PictureReport) -> str:
    """Return a remark with what went wrong in the other run; that of this run stands above the panels."""
    return ", ".join([text, *sorted(kind.value for kind in one.failures)]) if one is picture.other else text


def _true_items(picture: PictureReport, names: tuple[str, str]) -> Iterator[Item]:
    """Yield the annotated objects; beside another run also who found them."""
    others: dict[TextObject, list[bool]] = {}
    for verdict in () if picture.other is None else picture.other.truth:  # perhaps in another order
        others.setdefault(verdict.item, []).append(verdict.outcome is Outcome.MATCHED)
    told = {(True, True): "both", (True, False): f"only {names[0]}", (False, True): f"only {names[1]}"}
    for verdict in picture.truth:
        theirs = others.get(verdict.item)
        is_found = verdict.outcome is Outcome.MATCHED, bool(theirs and theirs.pop(0))
        yield _item(verdict, found_by="" if picture.other is None else told.get(is_found, "neither"))


def _item(verdict: Verdict, *, found_by: str = "") -> Item:
    item, outcome = verdict.item, verdict.outcome
    name = category(item.desc)
    score = "" if verdict.score is None else f"; score {verdict.score:.3f}"
    stress = ["other description"] if verdict.desc_differs else []
    stress += [kind.value for kind in verdict.failures]
    stress += [f"found by {found_by}"] if found_by.startswith("only ") else []
    found = {"found by": found_by} if found_by else {}
    return Item(
        desc=item.desc,
        name=shorten_label(name),
        color=COLORS[outcome],
        shape=verdict.shape,
        note=f"{outcome.value}: {verdict.note}{score}",
        stress=", ".join(stress),
        numbers=list_numbers(item.key, item.numbers),
        facets={"outcome": outcome.value, "category": name, "shape": item.key, **found},
    )


def _summary_panels(picture: PictureReport, image: Image.Image, names: tuple[str, str]) -> Iterator[Panel]:
    """Yield the picture, then each text with its facts below."""
    yield Panel("Picture", "", image, _GRID, (), listed=False)
    found = f"{picture.num_matched} of {picture.num_true} facts told" if picture.facts else ""
    annotated = [_fact_item(fact) for fact in picture.facts if fact.num_true]
    yield Panel("Annotated", found, None, _GRID, annotated, text=_texts(picture)[0])
    for one, name in runs(picture, names):
        right = f"{one.num_matched} of {one.num_said} facts right" if one.facts else ""
        said = [_fact_item(fact) for fact in one.facts if fact.num_said]
        yield Panel(name, _with_failures(right, one, picture), None, _GRID, said, text=_texts(one)[1])


def _texts(picture: PictureReport) -> tuple[str, str]:
    return picture.prediction.summary or ("", "")


def _fact_item(fact: FactVerdict) -> Item:
    desc = f"{fact.category}, {fact.attribute}: {fact.value}" if fact.attribute else fact.category
    differs = fact.outcome is not Outcome.MATCHED
    counts = f"annotated {fact.num_true}, said {fact.num_said}"
    return Item(
        desc=desc,
        name="",
        color=COLORS[fact.outcome],
        shape=None,
        note=fact.outcome.value if differs else f"{fact.outcome.value}: {fact.num_true}",
        stress=counts if differs else "",
        facets={"outcome": fact.outcome.value, "category": fact.category},
    )
