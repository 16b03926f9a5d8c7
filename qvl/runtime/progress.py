"""The bar of work that takes more than a moment."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["progress_bar"]


def progress_bar(*, auto_refresh: bool = True) -> Progress:
    """Return a bar on the error stream for people who watch; nothing is written where nobody does.

    Args:
        auto_refresh: Whether a thread draws it anew; without one, `update(refresh=True)` does, which is safe to fork.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    disable = not console.is_terminal
    return Progress(*columns, console=console, transient=True, auto_refresh=auto_refresh, disable=disable)
