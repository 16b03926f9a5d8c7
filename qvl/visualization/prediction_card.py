"""Cards of predictions: the truth, what a model said, and beside it what another one said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from PIL import Image

from qvl.errors import RecordError
from qvl.evaluation import Prediction
from qvl.runtime import open_image
from qvl.visualization.card import Card
from qvl.visualization.prediction_panels import prediction_panels, runs
from qvl.visualization.verdicts import Failure, Outcome, PictureReport

__all__ = ["ORDERS", "failure_of", "prediction_cards"]

_CUT_OFF: Final = "cut off by the limit of tokens"
ORDERS: Final = (
    "F1",
    "errors",
    "missed",
    "wrong",
    "malformed",
    "duplicates",
    "lowest score",
    "F1 difference",
    "objects",
)
"""What cards are sorted by; those of which a card knows nothing come last."""

_NOT_SHOWN: Final = "not shown"
_BLANK: Final = "#c9cdd4"  # in the place of a picture that cannot be shown
_BLANK_SIDE: Final = 640


def prediction_cards(
    pictures: Sequence[PictureReport],
    *,
    names: tuple[str, str] = ("this", "other"),
    missing: list[str] | None = None,
) -> Iterator[Card]:
    """Yield a card of each picture: its truth and what was predicted, and what another run predicted if it has one.

    Where no run answered, the file of the picture is not opened: the truth is drawn on a blank one.

    Args:
        pictures: In this order.
        names: Of the run and of the other one.
        missing: Gets a line for each picture that cannot be opened or has another size than its row says, which is then
            drawn on a blank one; None if that is an error.

    Raises:
        RecordError: A picture cannot be shown and `missing` is None; with file and line.
    """
    for picture in pictures:
        prediction = picture.prediction
        is_shown = True
        faults = [(fault.code, fault.where, fault.message) for fault in prediction.faults]
        try:
            image = _open(picture)
        except RecordError as error:
            if missing is None:
                raise
            missing.append(str(error))
            image, is_shown = _blank(prediction), False
            faults.insert(0, (_NOT_SHOWN, "picture", str(error)))
        size = f", {prediction.width} x {prediction.height} pixels" if prediction.width else ""
        yield Card(
            heading=_heading(picture, names),
            name=PurePath(prediction.image).name,
            origin=f"{prediction.source}{size}; {prediction.where}",
            panels=tuple(prediction_panels(picture, image, names)),
            stress=_failures(picture),
            faults=faults,
            texts=tuple(_answers(picture, names)),
            facets=_facets(picture, names, is_shown=is_shown),
            orders=dict(_orders(picture)),
        )


def _heading(picture: PictureReport, names: tuple[str, str]) -> str:
    if picture.other is None:
        return f"F1 {picture.f1:.2f}"
    return f"F1 {picture.f1:.2f}, {names[1]} {picture.other.f1:.2f}"


def _facets(picture: PictureReport, names: tuple[str, str], *, is_shown: bool) -> dict[str, list[str]]:
    kinds = _failures(picture) + ([] if is_shown else ["picture not shown"])
    codes = sorted({fault.code for fault in picture.prediction.faults})
    found = {"failure": kinds or ["none"], "fault": codes or ["none"]}
    if picture.other is not None:
        found[failure_of(names[1])] = _failures(picture.other) or ["none"]
    return found


def failure_of(name: str) -> str:
    """Return the name of the filter by the failures of another run."""
    return f"failure of {name}"


def _failures(picture: PictureReport) -> list[str]:
    return [kind.value for kind in Failure if kind in picture.failures]


def _orders(picture: PictureReport) -> Iterator[tuple[str, float]]:
    yield "F1", picture.f1
    yield "errors", picture.num_errors
    yield "missed", picture.num_true - picture.num_matched
    malformed = sum(verdict.outcome is Outcome.MALFORMED for verdict in picture.predicted)
    yield "wrong", picture.num_said - picture.num_matched - malformed
    yield "malformed", malformed
    yield "duplicates", picture.count(Failure.DUPLICATE)
    yield "objects", picture.num_true + picture.num_said
    if picture.lowest_score is not None:
        yield "lowest score", picture.lowest_score
    if picture.other is not None:
        yield "F1 difference", picture.f1_difference


def _answers(picture: PictureReport, names: tuple[str, str]) -> Iterator[tuple[str, str]]:
    for one, name in runs(picture, names):
        prediction = one.prediction
        ending = f" ({_CUT_OFF})" if prediction.finish_reason == "length" else ""
        of = f" of {name}" if picture.other is not None else ""
        if prediction.error is None:
            yield f"the answer{of} as the model wrote it{ending}", prediction.completion


def _open(picture: PictureReport) -> Image.Image:
    """Open the picture of a row, if a run answered it."""
    rows = [picture.prediction, *([] if picture.other is None else [picture.other.prediction])]
    prediction = next((row for row in rows if row.error is None), None)
    if prediction is None:
        return _blank(picture.prediction)
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


def _blank(prediction: Prediction) -> Image.Image:
    """Return a blank picture of the same form, for the shapes to be seen on."""
    width, height = (prediction.width, prediction.height) if prediction.width else (4, 3)
    factor = _BLANK_SIDE / max(width, height)
    return Image.new("RGB", (max(1, round(width * factor)), max(1, round(height * factor))), _BLANK)
