"""The report as one HTML page; it needs no other file and no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from qvl.runtime.page import html_page
from qvl.sweep.analysis import Analysis
from qvl.sweep.job import Job
from qvl.sweep.markup import escape, link
from qvl.sweep.pens import make_pens
from qvl.sweep.sections import curves, effects, failed, pictures, running, troubles
from qvl.sweep.style import SCRIPT, STYLE
from qvl.sweep.table import Cell, Column, Row, captions, make_table

__all__ = ["render_page"]


def render_page(analysis: Analysis, *, title: str, facts: Sequence[tuple[str, str]], start: Path) -> str:
    """Return a whole HTML document.

    Args:
        analysis: What to tell.
        title: Name of the sweep.
        facts: Name and value of what stands at the top, such as the command.
        start: Folder of the page, from which links lead.
    """
    pens = make_pens(analysis)
    sections = {
        "jobs": ("Jobs", _jobs(analysis, start)),
        "running": ("Running", running(analysis)),
        "effects": (f"What each key does to {analysis.metric}", effects(analysis, pens)),
        "curves": ("Curves", curves(analysis, pens)),
        "failed": ("Failures", failed(analysis, start)),
        "pictures": ("Look at predictions", pictures(analysis)),
        "troubles": ("Files that could not be used", troubles(analysis)),
    }
    shown = {name: section for name, section in sections.items() if section[1]}
    body = [_header(analysis, title, facts, {name: heading for name, (heading, _) in shown.items()})]
    body += [
        f'<section id="{name}">\n<h2>{escape(heading)}</h2>\n{text}\n</section>'
        for name, (heading, text) in shown.items()
    ]
    return html_page(escape(title), style=STYLE, body="\n".join(body), script=SCRIPT)


def _header(analysis: Analysis, title: str, facts: Sequence[tuple[str, str]], sections: Mapping[str, str]) -> str:
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    notes = "".join(f"<li>{escape(note)}</li>" for note in analysis.notes)
    links = "".join(f'<a href="#{name}">{escape(heading)}</a>' for name, heading in sections.items())
    listed = f'<ul class="notes">{notes}</ul>' if notes else ""
    return f"<header>\n<h1>{escape(title)}</h1>\n<dl>{told}</dl>\n{listed}\n<nav>{links}</nav>\n</header>"


def _jobs(analysis: Analysis, start: Path) -> str:
    columns, rows = make_table(analysis)
    head = "".join(_head(column, analysis) for column in columns)
    body = "\n".join(_row(row, columns, analysis, start) for row in rows)
    table = f"<table>\n<thead><tr>{head}<th>open</th></tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    lines = captions(analysis, hint=" A click on a head sorts.")
    below = "".join(f'<p class="quiet">{escape(line)}</p>' for line in lines)
    return f'<div class="wide">{table}</div>\n{below}'


def _head(column: Column, analysis: Analysis) -> str:
    """Return a head that sorts; the first click on a metric brings its best values to the top."""
    downwards = column.full_name == analysis.metric and column.kind == "metric" and analysis.higher_is_better
    classes = " ".join([column.kind, *["number"] * column.is_number])
    first = ' data-first="descending"' if downwards else ""
    title = f' title="{escape(column.full_name)}"' if column.full_name not in ("", column.name) else ""
    return f'<th class="{classes}"{first}{title}><button type="button">{escape(column.name)}</button></th>'


def _row(row: Row, columns: Sequence[Column], analysis: Analysis, start: Path) -> str:
    cells = "".join(_cell(column, cell, row, analysis) for column, cell in zip(columns, row.cells, strict=True))
    best = ' class="best"' if row.is_best else ""
    return f'<tr data-job="{row.number}"{best}>{cells}<td class="open">{" · ".join(_links(row.job, start))}</td></tr>'


def _cell(column: Column, cell: Cell, row: Row, analysis: Analysis) -> str:
    order = "" if cell.order is None else f' data-order="{escape(cell.order)}"'
    classes = [column.kind, *["number"] * column.is_number]
    classes += ["chosen"] * (column.kind == "metric" and column.full_name == analysis.metric)
    text = escape(cell.text)
    if column.kind == "state":
        text = f'<span class="state {escape(row.job.state)}">{text}</span>'
        text = f'<a href="#failed-{row.number}">{text}</a>' if row.job.cause or row.job.earlier else text
        return f"<td{order}>{text}</td>"
    return f'<td class="{" ".join(classes)}"{order}>{text}</td>'


def _links(job: Job, start: Path) -> Iterator[str]:
    if not job.folder.is_dir():
        return
    yield link(job.folder, "folder", start=start)
    for path in job.files.galleries:
        yield link(path, path.stem.replace("predictions_", "pictures "), start=start)
    if job.files.predictions:
        yield '<a href="#pictures">predictions</a>'
    for path in job.files.logs:
        if path.parent == job.folder:
            yield link(path, "log" if path.name == "launcher.log" else path.name, start=start)
    if any(path.parent != job.folder for path in job.files.logs):
        yield link(job.folder / "ranks", "ranks", start=start)
