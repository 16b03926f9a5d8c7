"""An evaluation in the terminal."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from qvl.evaluation.results import Evaluation
from qvl.evaluation.sentences import tell_counts, tell_differences
from qvl.evaluation.tables import Table, category_tables, failure_table, score_table

__all__ = ["show"]

_MOST_CATEGORIES: Final = 12


def show(evaluation: Evaluation, *, console: Console) -> None:
    """Print what was scored, the scores, the failures, the categories, and whether a difference is more than chance.

    Args:
        evaluation: What to tell.
        console: Where it is printed.
    """
    for line in tell_counts(evaluation):
        console.print(Text(line), soft_wrap=True)
    failures = failure_table(evaluation)
    for table in (score_table(evaluation), *([failures] if failures else ())):
        console.print(_drawn(table, len(table.rows)))
    if failures is None:
        console.print("no answer failed\n")
    for table in category_tables(evaluation):
        console.print(_drawn(table, _MOST_CATEGORIES))
    for line in tell_differences(evaluation):
        console.print(Text(line))


def _drawn(table: Table, most: int) -> RichTable:
    left_out = len(table.rows) - most
    caption = f"the worst {most}; {left_out} more with out=FOLDER" if left_out > 0 else None
    drawn = RichTable(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    for number, name in enumerate(table.head):
        drawn.add_column(Text(name), justify="right" if number else "left", overflow="fold", no_wrap=bool(number))
    for row in table.rows[:most]:
        drawn.add_row(*(Text(_visible(cell)) for cell in row))
    return drawn


def _visible(text: str) -> str:
    """Return text without control characters, on one line: a name of a category is what a model wrote."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
