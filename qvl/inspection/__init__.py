"""Rows and what is told of them: findings, statistics, and views of rows."""

from __future__ import annotations

from qvl.inspection.console import show
from qvl.inspection.inspecting import FileReport, inspect
from qvl.inspection.lengths import RowLengths, Tokens, load_tokenizer
from qvl.inspection.looking import LookSettings
from qvl.inspection.mending import MENDS, Change, mend
from qvl.inspection.reporting import as_json, is_fatal
from qvl.inspection.statistics import Statistics
from qvl.inspection.views import VIEWS, Pick, RowViews, SeenPicture, SeenTurn, pick_rows, row_layout
from qvl.inspection.writing import each_once, write_report

__all__ = [
    "MENDS",
    "VIEWS",
    "Change",
    "FileReport",
    "LookSettings",
    "Pick",
    "RowLengths",
    "RowViews",
    "SeenPicture",
    "SeenTurn",
    "Statistics",
    "Tokens",
    "as_json",
    "each_once",
    "inspect",
    "is_fatal",
    "load_tokenizer",
    "mend",
    "pick_rows",
    "row_layout",
    "show",
    "write_report",
]
