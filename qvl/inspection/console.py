"""The report in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from qvl.inspection.inspecting import FileReport
from qvl.inspection.looking import LookSettings
from qvl.inspection.reporting import ranked

__all__ = ["show"]


def show(reports: Sequence[FileReport], *, settings: LookSettings, folder: Path, console: Console) -> None:
    """Print one table of the files, one of the findings, and where the rest is.

    Args:
        reports: One a file.
        settings: What was looked for.
        folder: Where the report was written.
        console: Where it is printed.
    """
    console.print(_files(reports, settings))
    if any(report.codes for report in reports):
        console.print(_findings(reports))
    else:
        console.print("nothing was found")
    for report in reports:
        if report.fixed is not None:
            changes = ", ".join(f"{count} {code}" for code, count in sorted(report.changes.items())) or "nothing"
            dropped = f", {report.dropped} rows dropped" if report.dropped else ""
            console.print(f"mended     {escape(str(report.fixed))}: {changes}{dropped}", soft_wrap=True)
    console.print(f"report     {escape(str(folder / 'report.html'))}", soft_wrap=True)
    console.print(f"findings   {escape(str(folder / 'findings.jsonl'))}", soft_wrap=True)


def _files(reports: Sequence[FileReport], settings: LookSettings) -> Table:
    table = Table()
    table.add_column("file", overflow="fold")
    for name in ("rows", "usable", "objects", "tokens: median", "most", f"rows > {settings.max_length}"):
        table.add_column(name, justify="right")
    for report in reports:
        statistics, tokens = report.statistics, report.statistics.tokens
        lengths = ["-"] * 3
        if tokens.counts:
            over = tokens.above(settings.max_length)
            share = f" ({over / tokens.total:.1%})" if over else ""
            lengths = [f"{tokens.quantile(0.5):,}", f"{max(tokens.counts):,}", f"{over:,}{share}"]
        counts = (statistics.rows.value, statistics.usable.value, statistics.shapes.counts.total())
        table.add_row(escape(Path(report.rows.path).name), *(f"{count:,}" for count in counts), *lengths)
    return table


def _findings(reports: Sequence[FileReport]) -> Table:
    table = Table()
    for name in ("code", "kind", "findings", "rows", "a fix mends", "the first one"):
        table.add_column(name, justify="right" if name in ("findings", "rows", "a fix mends") else "left")
    for report in reports:
        for code, count in ranked(report):
            kind = "[red]fatal[/red]" if count.fatal else "warning"
            numbers = (count.fatal + count.warnings, count.rows, count.can_be_mended)
            place = "" if count.first is None else f"{Path(count.first.where.file).name}:{count.first.where.line}"
            table.add_row(code, kind, *(f"{number:,}" for number in numbers), escape(place))
    return table
