"""Pictures with their objects drawn in, and the page that compares predictions with the truth."""

from __future__ import annotations

from qvl.visualization.drawing import Mark, draw_marks, readable_on
from qvl.visualization.fonts import can_draw, default_font
from qvl.visualization.page import render_page
from qvl.visualization.predictions import Prediction, read_predictions
from qvl.visualization.verdicts import Outcome, PictureReport, Report, Verdict, judge

__all__ = [
    "Mark",
    "Outcome",
    "PictureReport",
    "Prediction",
    "Report",
    "Verdict",
    "can_draw",
    "default_font",
    "draw_marks",
    "judge",
    "read_predictions",
    "readable_on",
    "render_page",
]
