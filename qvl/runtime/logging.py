"""Logging by rank: one process talks, the others only warn."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.logging import RichHandler

__all__ = ["configure", "quiet_loading"]

_WIDTH_WITHOUT_TERMINAL = 160  # rich would break the lines of a log file at 80 characters


def configure(level: str, rank: int) -> None:
    """Send the log to the standard error stream: rank 0 from `level` on, every other rank from WARNING on.

    Console handlers of the root logger are replaced, so calling twice is the same as once; handlers that write to
    files stay. `level` holds for qvl's own loggers, other packages are heard from WARNING on.

    Args:
        level: DEBUG, INFO, WARNING, ERROR or CRITICAL, in any case.
        rank: Number of this process among all of the run.

    Raises:
        ValueError: `level` is no name of a level.
    """
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise ValueError(f"level must be one of {', '.join(sorted(levels))}, got {level!r}")
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if type(handler) in (logging.StreamHandler, RichHandler)]:
        root.removeHandler(handler)
    root.addHandler(_console() if rank == 0 else _warnings_of(rank))
    root.setLevel(logging.WARNING)
    logging.getLogger("qvl").setLevel(levels[level.upper()] if rank == 0 else logging.WARNING)


def _console() -> logging.Handler:
    console = Console(stderr=True)
    if not console.is_terminal:
        console.width = _WIDTH_WITHOUT_TERMINAL
    return RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")


def _warnings_of(rank: int) -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter(f"[rank {rank}] %(levelname)s %(name)s: %(message)s"))
    return handler


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Let transformers load or save a model without bars and reports for a while."""
    from transformers.utils import logging as of_transformers

    verbosity, shows_bar = of_transformers.get_verbosity(), of_transformers.is_progress_bar_enabled()
    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()
    try:
        yield
    finally:
        of_transformers.set_verbosity(verbosity)
        if shows_bar:
            of_transformers.enable_progress_bar()
