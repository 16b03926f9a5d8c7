"""Verb: tell how a sweep went, `python -m qvl.report sweep=multirun_outputs/NAME/TIME`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from qvl.command import run
from qvl.errors import ConfigError, QvlError
from qvl.schema import ReportConfig

__all__ = ["cli", "main"]

_DIRECTIONS = {"higher": True, "lower": False}


def main(cfg: Any) -> None:
    """Write the page and the Markdown, print the table and say where they are.

    Args:
        cfg: Composed and checked configuration, see `qvl.schema.ReportConfig`.

    Raises:
        QvlError: The folder is no sweep, or the report cannot be written.
    """
    from qvl.sweep import analyze, read_sweep, render_markdown, render_page, tell_facts

    higher_is_better = _direction(cfg)
    folder = Path(cfg.sweep)
    page = folder / "report.html" if cfg.out is None else Path(cfg.out)
    if page.suffix != ".html":
        raise ConfigError(f"out: {page} has to end in .html; the Markdown is written beside it")
    if cfg.out is not None and not page.parent.is_dir():
        raise ConfigError(f"out: {page}: there is no folder {page.parent}")
    analysis = analyze(read_sweep(folder), metric=cfg.metric, higher_is_better=higher_is_better)
    facts = tell_facts(analysis, written=f"{datetime.now():%Y-%m-%d %H:%M:%S}")
    title = "/".join(folder.resolve().parts[-2:])
    _write(page, render_page(analysis, title=title, facts=facts, start=page.resolve().parent))
    _write(page.with_suffix(".md"), render_markdown(analysis, title=title, facts=facts))
    _print(analysis, facts, page)


def _direction(cfg: Any) -> bool:
    """Return whether the metric is better high; what is not said follows from its name."""
    from qvl.metrics import higher_is_better

    if cfg.better is None:
        try:
            return higher_is_better(cfg.metric)
        except ValueError as error:
            raise ConfigError(f"metric: {error}") from error
    if cfg.better not in _DIRECTIONS:
        raise ConfigError(f"better: {cfg.better!r} is not one of {', '.join(_DIRECTIONS)}")
    return _DIRECTIONS[cfg.better]


def _write(path: Path, text: str) -> None:
    from qvl.runtime import write_text

    try:
        write_text(path, text)
    except OSError as error:
        raise QvlError(f"out: {path} cannot be written: {error.strerror}; choose another place with out=") from error


def _print(analysis: Any, facts: Sequence[tuple[str, str]], page: Path) -> None:
    from qvl.sweep import plain_text, render_console

    console = Console()
    console.print(render_console(analysis, width=console.width))
    lines = [f"{name}: {value}" for name, value in facts if name not in ("command", "report")]
    lines += [f"note: {note}" for note in analysis.notes]
    lines += [f"job {job.name} {job.state}: {job.cause.exception}" for job in analysis.sweep.jobs if job.cause]
    for line in [*lines, f"page: {page.resolve()}"]:
        console.print(plain_text(line), soft_wrap=True)


def cli() -> None:
    """Run the verb from the command line."""
    run(main, config_name="report", schema=ReportConfig)


if __name__ == "__main__":
    cli()
