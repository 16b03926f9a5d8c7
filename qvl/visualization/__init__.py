"""Pictures with their objects drawn in, galleries of them, and predictions beside the truth."""

from __future__ import annotations

from qvl.visualization.card import Card, Item, Panel, list_numbers, shorten_label
from qvl.visualization.drawing import Mark, draw_marks, readable_on
from qvl.visualization.evaluation_report import write_evaluation
from qvl.visualization.fonts import FONT_ADVICE, FontBook, can_draw, default_font
from qvl.visualization.gallery import Layout, render_gallery, track_cards
from qvl.visualization.judging import judge
from qvl.visualization.page import EvaluationPage, evaluation_page, prediction_layout
from qvl.visualization.prediction_card import prediction_cards
from qvl.visualization.sheet import draw_sheet, write_sheets
from qvl.visualization.style import Palette
from qvl.visualization.verdicts import FactVerdict, Failure, Outcome, PictureReport, Report, Verdict
from qvl.visualization.worst import worst_pictures
from qvl.visualization.writing import is_page_name, write_gallery

__all__ = [
    "FONT_ADVICE",
    "Card",
    "EvaluationPage",
    "FactVerdict",
    "Failure",
    "FontBook",
    "Item",
    "Layout",
    "Mark",
    "Outcome",
    "Palette",
    "Panel",
    "PictureReport",
    "Report",
    "Verdict",
    "can_draw",
    "default_font",
    "draw_marks",
    "draw_sheet",
    "evaluation_page",
    "is_page_name",
    "judge",
    "list_numbers",
    "prediction_cards",
    "prediction_layout",
    "readable_on",
    "render_gallery",
    "shorten_label",
    "track_cards",
    "worst_pictures",
    "write_evaluation",
    "write_gallery",
    "write_sheets",
]
