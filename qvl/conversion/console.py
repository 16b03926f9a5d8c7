"""The account of a conversion in the terminal."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from qvl.conversion.pipeline import Converted
from qvl.conversion.report import Report

__all__ = ["show"]


def show(converted: Converted, *, out: Path, console: Console) -> None:
    """Print what was written, what was not, and what to do next.

    Args:
        converted: What became of the source.
        out: The folder that was written.
        console: Where it is printed.
    """
    report = converted.report
    console.print(_totals(report))
    if report.rows_refused or report.objects_refused or report.others_refused or report.objects_dropped:
        console.print(_losses(report))
    if report.repairs:
        repairs = Table("repaired", "times")
        for code, count in report.repairs.most_common():
            repairs.add_row(code, str(count))
        console.print(repairs)
    lines = [f"rows   {out.resolve() / split}.jsonl ({counts['rows']} rows)" for split, counts in report.splits.items()]
    for line in [*lines, *_remarks(converted, out)]:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _totals(report: Report) -> Table:
    table = Table("", "in the source", "in the rows", "left out on request", "refused")
    dropped, refused = report.objects_dropped.total(), report.objects_refused.total()
    came = f"{report.objects_in} + {report.objects_added} pieces" if report.objects_added else str(report.objects_in)
    table.add_row("pictures", str(report.rows_in), str(report.rows_out), "", str(report.rows_refused.total()))
    table.add_row("objects", came, str(report.objects_out), str(dropped), str(refused))
    return table


def _losses(report: Report) -> Table:
    table = Table("not in the rows", "why", "times", "such as")
    kinds = {
        "picture": report.rows_refused,
        "object": report.objects_refused,
        "other": report.others_refused,
        "on request": report.objects_dropped,
    }
    for kind, counts in kinds.items():
        for code, count in counts.most_common():
            table.add_row(kind, code, str(count), report.examples.get(code, ""))
    return table


def _remarks(converted: Converted, out: Path) -> list[str]:
    """Return what else the user has to know, one line each."""
    report = converted.report
    lines = [f"refused   {out.resolve() / 'rejected.jsonl'}"] if report.examples else []
    if report.unused:
        lines.append(f"labels and drop name what no object is: {', '.join(report.unused)}")
    if report.again:
        lines.append(f"{report.again} rows have a picture that another row has too")
    if report.across:
        lines.append(f"{report.across} pairs of pictures look the same and lie in different splits, see report.json")
    if converted.roots:
        roots = ",".join(map(str, converted.roots))
        lines.append(f"the pictures stay where they are; train with 'data.allowed_roots=[{roots}]'")
    rows = out / f"{next(iter(report.splits))}.jsonl"
    return [
        *lines,
        f"check them     python -m qvl.validate data={rows}",
        f"look at them   python -m qvl.visualize data={rows}",
    ]
