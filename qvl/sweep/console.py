"""The table of jobs on a terminal, cut to its width."""

from __future__ import annotations

from typing import Literal

from rich import box
from rich.table import Table
from rich.text import Text

from qvl.sweep.analysis import Analysis
from qvl.sweep.table import Column, Row, make_table
from qvl.sweep.words import visible

__all__ = ["plain_text", "render_console"]

_NARROW = 120  # columns of a terminal below which two metrics have to do, and the time without the speed
_WIDEST = 16  # of a column that is not folded
_GAP = 3  # between two columns


def render_console(analysis: Analysis, *, width: int) -> Table:
    """Return the table of jobs; swept keys that have no room are left out and counted below it.

    Args:
        analysis: What to tell.
        width: Columns of the terminal.
    """
    columns, rows = make_table(analysis)
    is_narrow = width < _NARROW
    room = {"before": 0, "metric": 2 if is_narrow else 5, "cost": 1 if is_narrow else 2}
    kinds = [column.kind for column in columns]
    shown = [index for index, kind in enumerate(kinds) if kinds[:index].count(kind) < room.get(kind, len(kinds))]
    cells = {index: [_cell(row, columns[index], index, is_narrow=is_narrow) for row in rows] for index in shown}
    widths = {index: min(max((cell.cell_len for cell in cells[index]), default=1), _WIDEST) for index in shown}
    settings = [index for index in shown if columns[index].kind == "setting"]
    num_dropped = 0
    while settings and sum(widths[index] + _GAP for index in shown) > width:
        shown.remove(settings.pop())
        num_dropped += 1
    table = Table(box=box.SIMPLE_HEAD, caption=f"{num_dropped} more keys are on the page" if num_dropped else None)
    for index in shown:
        justify: Literal["left", "right"] = "right" if columns[index].is_number else "left"
        table.add_column(plain_text(columns[index].name), justify=justify, min_width=widths[index], overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*(cells[index][number] for index in shown), style="bold" if row.is_best else None)
    return table


def plain_text(text: str) -> Text:
    """Return text on one line that is no markup and holds no control characters."""
    return Text(visible(text, one_line=True))


def _cell(row: Row, column: Column, index: int, *, is_narrow: bool) -> Text:
    return plain_text(row.job.state if is_narrow and column.kind == "state" else row.cells[index].text)
