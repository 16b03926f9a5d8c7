"""Pictures with their objects drawn in, galleries of them, and predictions beside the truth."""

from __future__ import annotations

from qvl.visualization.card import Card, Item, Panel, list_numbers, shorten_label
from qvl.visualization.drawing import Mark, draw_marks, readable_on
from qvl.visualization.fonts import FONT_ADVICE, FontBook, can_draw, default_font
from qvl.visualization.gallery import Layout, render_gallery, track_cards
from qvl.visualization.page import prediction_cards, prediction_layout
from qvl.visualization.predictions import Prediction, read_predictions
from qvl.visualization.sheet import draw_sheet, write_sheets
from qvl.visualization.style import Palette
from qvl.visualization.verdicts import Outcome, PictureReport, Report, Verdict, judge
from qvl.visualization.writing import is_page_name, write_gallery

__all__ = [
    "FONT_ADVICE",
    "Card",
    "FontBook",
    "Item",
    "Layout",
    "Mark",
    "Outcome",
    "Palette",
    "Panel",
    "PictureReport",
    "Prediction",
    "Report",
    "Verdict",
    "can_draw",
    "default_font",
    "draw_marks",
    "draw_sheet",
    "is_page_name",
    "judge",
    "list_numbers",
    "prediction_cards",
    "prediction_layout",
    "read_predictions",
    "readable_on",
    "render_gallery",
    "shorten_label",
    "track_cards",
    "write_gallery",
    "write_sheets",
]
