"""Sweeps: what their jobs were given, how they ended, and what each swept key does to a metric."""

from __future__ import annotations

from qvl.sweep.analysis import Analysis, analyze
from qvl.sweep.console import plain_text, render_console
from qvl.sweep.folder import read_sweep
from qvl.sweep.heading import tell_facts
from qvl.sweep.job import Cause, Curve, Job, Point, Progress, RunFiles, Sweep, Trouble
from qvl.sweep.markdown import render_markdown
from qvl.sweep.page import render_page
from qvl.sweep.statistics import (
    Change,
    Effect,
    Level,
    Repeats,
    Run,
    Summary,
    best_run,
    find_effect,
    repeats,
    summarize,
)
from qvl.sweep.table import Cell, Column, Row, make_table

__all__ = [
    "Analysis",
    "Cause",
    "Cell",
    "Change",
    "Column",
    "Curve",
    "Effect",
    "Job",
    "Level",
    "Point",
    "Progress",
    "Repeats",
    "Row",
    "Run",
    "RunFiles",
    "Summary",
    "Sweep",
    "Trouble",
    "analyze",
    "best_run",
    "find_effect",
    "make_table",
    "plain_text",
    "read_sweep",
    "render_console",
    "render_markdown",
    "render_page",
    "repeats",
    "summarize",
    "tell_facts",
]
