"""The worst pictures of an evaluation as images, for where there is no page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from PIL import Image

from qvl.errors import RecordError
from qvl.evaluation import Prediction
from qvl.visualization.fonts import FontBook
from qvl.visualization.judging import judge
from qvl.visualization.prediction_card import prediction_cards
from qvl.visualization.sheet import draw_sheet
from qvl.visualization.verdicts import PictureReport

__all__ = ["worst_pictures"]

_KEY: Final = "green: found, yellow: missed, pink: wrong"


def worst_pictures(
    predictions: Sequence[Prediction], *, count: int, line_tolerance: float, max_side: int = 1024
) -> list[Image.Image]:
    """Return truth and prediction side by side, the lowest F1 (at an overlap of 0.5) first.

    Pictures that were not answered or cannot be opened are passed over, as there is nothing to see.

    Args:
        predictions: Of any number of pictures.
        count: Most images.
        line_tolerance: Half width of a line's tube in grid units, > 0.
        max_side: Longest side of an image in pixels.

    Raises:
        ValueError: The tolerance is out of range.
    """
    answered = [one for one in predictions if one.error is None]
    if not answered or count < 1:
        return []
    fonts, drawn = FontBook(), []
    for picture in judge(answered, line_tolerance=line_tolerance).select(None, worst_first=True):
        if (image := _draw(picture, fonts, max_side)) is not None:
            drawn.append(image)
        if len(drawn) == count:
            break
    return drawn


def _draw(picture: PictureReport, fonts: FontBook, max_side: int) -> Image.Image | None:
    try:
        (card,) = prediction_cards([picture])
    except RecordError:
        return None
    origin = f"{card.origin}   {_KEY}"
    sheet = draw_sheet(replace(card, origin=origin), fonts=fonts, max_side=max_side)
    sheet.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return sheet
