"""How a run ends: scores before and after, and the commands that come next."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from qvl.metrics import HEADLINE, label_of
from qvl.training.job import TrainingResult

__all__ = ["show_result"]


def show_result(folder: Path, result: TrainingResult, *, console: Console) -> None:
    """Print the scores of a run as a table, and what to do next.

    Args:
        folder: Of the run.
        result: What it left behind.
        console: Where it is printed.
    """
    table = Table(title=f"held-out scores after {result.global_step} steps")
    for column in ("", "before", "after"):
        table.add_column(column, justify="left" if not column else "right")
    for name in HEADLINE:
        values = [metrics.get(name) for metrics in (result.before, result.after)]
        if name == "loss" or any(value is not None for value in values):  # chat has no answers to score
            table.add_row(label_of(name), *("-" if value is None else f"{value:.3f}" for value in values))
    console.print(table)
    console.print(f"run folder   {folder}", soft_wrap=True)
    console.print(f"checkpoint   {result.best_checkpoint or result.checkpoint or 'none was saved'}", soft_wrap=True)
    predictions = folder / "predictions_after.jsonl"
    if predictions.exists():
        console.print(f"look at it   python -m qvl.visualize predictions={predictions}", soft_wrap=True)
        console.print(f"how sure     python -m qvl.evaluate predictions={predictions}", soft_wrap=True)
